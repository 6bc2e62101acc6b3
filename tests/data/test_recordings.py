import shutil

import numpy as np
import pytest
import torch
from conftest import RATE
from test_corpus import ask, write

from gtzan_lightning.data import recordings
from gtzan_lightning.data.clips import Clips, ResidentSongs
from gtzan_lightning.data.corpus import open_corpus
from gtzan_lightning.data.digests import Changed
from gtzan_lightning.data.packing import prepare
from gtzan_lightning.errors import UserError

TABLES = ("songs.csv", "left_out.csv", "corpus.json", "array.crc32", "digests.sha256")


@pytest.fixture(params=["waveforms", "pictures"])
def corpus(request, gtzan_copy, packed):
    return prepare(ask(gtzan_copy, packed, pack=request.param))


def all_of(corpus):
    return [np.array(corpus.recording(song)) for song in range(len(corpus.songs))]


def flip(file, bit):
    content = bytearray(file.read_bytes())
    content[bit // 8] ^= 1 << bit % 8
    file.write_bytes(content)


@pytest.mark.parametrize("name", ["array.npy", *TABLES])
def test_a_flipped_bit_is_one_line_and_never_another_song(corpus, tmp_path, name):
    copy = tmp_path / "copy"
    shutil.copytree(corpus.folder, copy)
    content, truth = (copy / name).read_bytes(), all_of(open_corpus(copy))
    random = np.random.default_rng(0)
    for bit in [*random.integers(0, 8 * len(content), 25), 8 * len(content) - 1, *range(60, 90)]:
        flip(copy / name, int(bit))
        with pytest.raises(Changed) as caught:
            all_of(open_corpus(copy))
        assert "\n" not in str(caught.value)
        assert str(copy) in str(caught.value)
        (copy / name).write_bytes(content)
    for own, song in zip(all_of(open_corpus(copy)), truth, strict=True):
        assert np.array_equal(own, song)


def test_only_what_is_read_is_checked_and_only_once(corpus, tmp_path, monkeypatch):
    copy = tmp_path / "copy"
    shutil.copytree(corpus.folder, copy)
    flip(copy / "array.npy", 8 * (copy / "array.npy").stat().st_size - 1)  # of the last song
    damaged = open_corpus(copy)
    last = len(damaged.songs) - 1
    for song in range(last):
        damaged.recording(song)
    monkeypatch.setattr(recordings.zlib, "crc32", None)
    damaged.recording(0)
    monkeypatch.undo()
    if not damaged.is_pictures:  # whose every bin has a part of the end
        damaged.parts(np.array([last]), np.array([0]), np.array([100]))
    with pytest.raises(Changed, match=rf"array.npy is not .*\(song {last + 1} of its songs.csv\)"):
        damaged.recording(last)
    with pytest.raises(Changed):
        ResidentSongs(damaged, 20, torch.device("cpu"))


def test_a_worker_of_the_loader_says_it_in_one_line(corpus, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(corpus.folder, copy)
    flip(copy / "array.npy", 8 * 2000)
    damaged = open_corpus(copy)
    clips = Clips(damaged, 20, torch.from_numpy(damaged.genre_numbers()), None)
    loader = torch.utils.data.DataLoader(
        clips, batch_sampler=[[(0, 0, 0), (1, 0, 0)]], num_workers=1, collate_fn=lambda batch: batch
    )
    with pytest.raises(Changed) as caught:
        list(loader)
    assert str(caught.value).startswith(f"{copy / 'array.npy'} is not as it was written (song 1")
    assert "\n" not in str(caught.value)


def test_a_long_mix_needs_its_own_space_only(tmp_path, tone, monkeypatch):
    monkeypatch.setattr(recordings, "AT_ONCE", 2**16)
    mix = np.tile(tone, 40) * np.linspace(0.1, 1, 40 * len(tone))
    for genre in "ab":
        for n in range(3):
            write(
                tmp_path / "songs" / genre / f"{n}.wav",
                tone * (0.4 + 0.1 * n + 0.05 * (genre > "a")),
            )
    write(tmp_path / "songs" / "b" / "mix.wav", mix)
    write(tmp_path / "songs" / "b" / "twin.wav", mix)  # taken back
    write(tmp_path / "songs" / "b" / "z.wav", tone[::-1])
    for pack in ("waveforms", "pictures"):
        packed = prepare(ask(tmp_path / "songs", tmp_path / "packed", "folder", pack=pack))
        assert [p.what for p in packed.problems] == ["duplicate"]
        size = packed.empty(1).nbytes * packed.lengths.sum()
        assert (packed.folder / "array.npy").stat().st_size == 128 + size
        assert len(packed.recording(0)) == (RATE if pack == "waveforms" else 32)
        all_of(packed)
    waves = prepare(ask(tmp_path / "songs", tmp_path / "packed", "folder"))
    row = waves.ids.index("b/mix.wav")
    np.testing.assert_allclose(waves.recording(row) / 32767, mix, atol=1e-4)


def test_an_array_of_equal_widths_gives_the_same_clips(corpus, tmp_path):
    """As others make them: (song, step) or (song, bin, frame), and no digests."""
    other = tmp_path / "other"
    shutil.copytree(corpus.folder, other)
    (other / "array.crc32").unlink()
    (other / "digests.sha256").unlink()
    empty = corpus.empty(corpus.lengths.max() + 3)
    array = np.stack([empty] * len(corpus.songs))
    for row, song in zip(array, all_of(corpus), strict=True):
        row[..., : song.shape[-1]] = song
    np.save(other / "array.npy", array)
    padded = open_corpus(other)
    numbers = torch.from_numpy(corpus.genre_numbers())
    steps = int(corpus.lengths.min()) + 5  # some songs are repeated
    drawn = [(row, min(3, max(0, corpus.lengths[row] - steps)), 0) for row in (0, 7, 59)]
    song, start, _ = torch.tensor(drawn).T
    truth = Clips(corpus, steps, numbers, None).__getitems__(drawn)["clip"]
    for own in (padded, padded.without(["blues"]), corpus):
        shift = len(corpus.songs) - len(own.songs)
        moved = [(row - shift, at, 0) for row, at, _ in drawn if row >= shift]
        assert torch.equal(
            Clips(own, steps, numbers, None).__getitems__(moved)["clip"], truth[-len(moved) :]
        )
        resident = ResidentSongs(own, steps, torch.device("cpu"))
        kept = song >= shift
        assert torch.equal(resident.cut(song[kept] - shift, start[kept]), truth[kept])
    (other / "songs.csv").write_text(
        (other / "songs.csv").read_text().replace(str(corpus.lengths[0]), "99999999", 1)
    )
    with pytest.raises(UserError, match=r"states lengths that array\.npy does not have"):
        open_corpus(other)
