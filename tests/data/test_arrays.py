"""Kept arrays are read back exactly, or computed again."""

import numpy as np
import pytest

from gtzan_lightning.data.arrays import read_arrays, write_arrays


def test_a_flipped_bit_anywhere_costs_what_is_kept_and_nothing_else(tmp_path, capsys):
    file, numbers = tmp_path / "deep" / "kept.npz", np.arange(500, dtype=np.float16)
    assert read_arrays(file, "numbers") is None
    write_arrays(file, numbers=numbers)
    whole = file.read_bytes()
    random = np.random.default_rng(0)
    lost = 0
    for at in random.integers(0, 8 * len(whole), 300):
        flipped = bytearray(whole)
        flipped[at // 8] ^= 1 << at % 8
        file.write_bytes(flipped)
        got = read_arrays(file, "numbers")
        if got is None:
            lost += 1
        else:  # such as of a date in the archive
            np.testing.assert_array_equal(got[0], numbers)
    assert lost > 200
    assert capsys.readouterr().out.count("is damaged (") == lost
    file.write_bytes(whole[: len(whole) // 2])
    assert read_arrays(file, "numbers") is None


@pytest.mark.parametrize("names", [("other",), ("numbers", "other")])
def test_arrays_of_another_kind_are_computed(tmp_path, names):
    write_arrays(tmp_path / "a.npz", numbers=np.zeros(3))
    assert read_arrays(tmp_path / "a.npz", *names) is None
