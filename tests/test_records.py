"""What a kill, a flipped bit or a strange text does to records in a file."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gtzan_lightning.records import BLOCK, RecordFile, records_of
from gtzan_lightning.terminal import printable

NAMES = st.binary(min_size=1, max_size=255).map(lambda name: os.fsdecode(name.replace(b"\0", b"0")))


def kept(file):
    with file.open("rb") as lines:
        return list(records_of(lines))


def written(file, records):
    sink = RecordFile(file)
    for record in records:
        sink.add(record)
    sink.close()


@given(st.lists(NAMES), st.data())
def test_every_name_and_every_cut(tmp_path_factory, names, data):
    file = tmp_path_factory.mktemp("records") / "file"
    written(file, names)
    assert kept(file) == names
    whole = file.read_bytes()
    cut = data.draw(st.integers(0, len(whole)))
    file.write_bytes(whole[:cut])
    before = whole[:cut].count(b"\n")
    written(file, names[before:])
    assert file.read_bytes() == whole


def test_no_flipped_bit_becomes_another_record(tmp_path):
    file = tmp_path / "file"
    records = [["a.wav", "1"], ["b\u2028.wav", "2"], ["c.wav", "3"]]
    written(file, records)
    whole = file.read_bytes()
    for bit in range(8 * len(whole)):
        flipped = bytearray(whole)
        flipped[bit // 8] ^= 1 << bit % 8
        file.write_bytes(flipped)
        left = kept(file)
        assert all(record in records for record in left)
        assert len(left) >= 1


def test_a_torn_line_longer_than_a_block_is_cut(tmp_path):
    file = tmp_path / "file"
    written(file, ["first"])
    with file.open("ab") as torn:
        torn.write(b"x" * 3 * BLOCK)
    written(file, ["second"])
    assert kept(file) == ["first", "second"]


def test_a_line_without_a_checksum_is_read_where_a_run_began_before_there_were_any(tmp_path):
    file = tmp_path / "file"
    file.write_bytes(b'{"n": 0}\n{"n": 1\n["n", 2]\n')
    written(file, [{"n": 3}])
    assert kept(file) == [{"n": 0}, {"n": 3}]


def test_something_else_in_its_place_is_never_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for place in (tmp_path / "pipe", tmp_path):
        with pytest.raises(OSError, match="something else than a file"):
            RecordFile(place)


@given(NAMES, NAMES)
def test_printable_names_steer_no_terminal_and_stay_different(one, other):
    assert (printable(one) == printable(other)) == (one == other)
    assert len(printable(one).splitlines()) == 1
    assert "\x1b" not in printable(one)
    printable(one).encode()


def test_common_names_are_printed_as_they_are():
    for name in ("Café del Mär 日本.wav", "=cmd.wav", "-dash.wav", "[red]x[/red].wav", "👩‍👧.mp3"):
        assert printable(name) == name
    assert printable(os.fsdecode(b"caf\xe9 \x1b[31m\n.wav")) == r"caf\xe9 \x1b[31m\x0a.wav"
    assert printable("a\nb.wav") != printable(r"a\x0ab.wav")
    assert printable("\ud83d") == r"\xed\xa0\xbd"  # of a table that somebody made
