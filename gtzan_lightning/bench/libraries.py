"""Feeding and features beside the libraries that people use for them.

The only file that calls soundfile, torchaudio and librosa as others would: to be compared with.
"""

from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import librosa
import numpy as np
import soundfile
import torch
import torchaudio
from torch import Tensor

from gtzan_lightning.bench.rows import Results, Target, compared, interleaved, measured, unmeasured
from gtzan_lightning.data.audio import resample, to_mono
from gtzan_lightning.data.clips import Clip, Clips
from gtzan_lightning.data.corpus import Corpus
from gtzan_lightning.data.features import FLOOR_DB, PictureSpec
from gtzan_lightning.data.packing import prepare
from gtzan_lightning.data.pictures import Features
from gtzan_lightning.errors import UserError
from gtzan_lightning.recipe.settings import DataSettings

SONGS, BATCH, BATCHES = 100, 64, 100
WHOLE = 2  # batches of those who read whole songs for them
KINDS = ("mel", "spectrogram", "stft", "mfcc", "chroma")
Reader = Callable[[list[Clip]], Any]


class Library(NamedTuple):
    """Another way to read clips, and how many times as fast ours should be."""

    key: str
    against: str
    reader: Callable[[], Reader]
    target: Target
    batches: int = BATCHES


def feeding(results: Results, data: DataSettings, repeats: int, scratch: Path) -> None:
    """Whole batches of random clips from the packed corpus against the same clips of wav files."""
    corpus = prepare(data)
    steps = round(data.clip_seconds * data.sample_rate)
    files = write_wavs(corpus, steps, scratch)
    drawn = draw(corpus, list(files), steps, BATCHES)
    packed = Clips(corpus, steps, torch.from_numpy(corpus.genre_numbers()), None)
    what = f"feeding batches of {BATCH} clips of {data.clip_seconds:g} s"
    for name, against, reader, target, batches in _libraries(files, steps, data, scratch):
        key = f"feeding/{name}"
        try:
            read = reader()
            read(drawn[0][:1])
        except (ImportError, RuntimeError, OSError) as error:
            results.add(unmeasured(key, what, against, target, str(error)))
            continue
        # ours reads all batches whatever the other side does: fewer are over in a millisecond
        turns = interleaved(
            partial(_each, packed.__getitems__, drawn),
            partial(_each, read, drawn[:batches]),
            repeats,
        )
        pairs = [(ours * batches / len(drawn), other) for ours, other in turns]
        results.add(compared(key, what, against, pairs, batches * BATCH, target))


def _libraries(
    files: dict[int, Path], steps: int, data: DataSettings, folder: Path
) -> list[Library]:
    tenfold, hundredfold = Target(10, least=True), Target(100, least=True)
    return [
        Library(
            "soundfile", "soundfile, seek and read, float32 as networks take it",
            lambda: partial(by_soundfile, files, steps=steps, dtype="float32"), tenfold,
        ),
        Library(
            "soundfile_int16", "soundfile, seek and read, int16 as the packed corpus gives it",
            lambda: partial(by_soundfile, files, steps=steps), tenfold,
        ),
        Library(
            "librosa", "librosa.load(offset, duration)",
            lambda: partial(by_librosa, files, steps=steps, rate=data.sample_rate), hundredfold,
        ),
        Library(
            "librosa_whole", "librosa.load, whole song, then cut",
            lambda: partial(by_librosa, files, steps=steps), hundredfold, WHOLE,
        ),
        Library(
            "torchaudio", "torchaudio.datasets.GTZAN, whole song, then cut",
            lambda: by_torchaudio(folder, files, steps), hundredfold, WHOLE,
        ),
    ]  # fmt: skip


def _each(read: Reader, drawn: list[list[Clip]]) -> None:
    for clips in drawn:  # one after the other, as a training uses them
        read(clips)


def write_wavs(corpus: Corpus, steps: int, folder: Path) -> dict[int, Path]:
    """Row -> 16-bit wav file of ``long_songs``, in torchaudio's layout of GTZAN; raises as it."""
    rows = long_songs(corpus, steps)
    chosen = np.linspace(0, len(rows) - 1, min(SONGS, len(rows))).astype(int).tolist()
    files = {}
    for number, row in enumerate(rows[n] for n in chosen):
        genre = corpus.songs[row]["genre"]
        files[row] = folder / "genres" / genre / f"{genre}.{number:05}.wav"
        files[row].parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(files[row], corpus.recording(row), corpus.info["sample_rate"])
    return files


def long_songs(corpus: Corpus, steps: int) -> list[int]:
    """Rows of the songs that are as long as a clip.

    Raises:
        UserError: every song is shorter than a clip.
    """
    rows = np.flatnonzero(corpus.lengths >= steps).tolist()
    if not rows:
        raise UserError("data.root: every song is shorter than a clip: name a folder of songs")
    return rows


def draw(corpus: Corpus, rows: list[int], steps: int, batches: int) -> list[list[Clip]]:
    """Batches of random clips, always the same ones."""
    random = np.random.default_rng(0)
    chosen = random.choice(rows, (batches, BATCH))
    starts = random.integers(0, corpus.lengths[chosen] - steps + 1)
    return [
        [(int(row), int(start), 0) for row, start in zip(*both, strict=True)]
        for both in zip(chosen, starts, strict=True)
    ]


def by_soundfile(
    files: dict[int, Path], clips: list[Clip], steps: int, dtype: str = "int16"
) -> Tensor:
    """(clip, sample) mono."""
    waves = []
    for row, start, _ in clips:
        with soundfile.SoundFile(files[row]) as file:
            file.seek(start)
            wave = file.read(steps, dtype=dtype, always_2d=True)
        waves.append(wave[:, 0] if wave.shape[1] == 1 else wave.mean(1).astype(dtype))
    return torch.from_numpy(np.stack(waves))


def read_bare(file: Path, rate: int) -> np.ndarray:
    """(sample,) mono at ``rate``, as ``decode`` gives it, by this process and without bounds."""
    wave, own = soundfile.read(file, dtype="float32", always_2d=True)
    return resample(to_mono(wave), own, rate)


def by_librosa(
    files: dict[int, Path], clips: list[Clip], steps: int, rate: int | None = None
) -> Tensor:
    """(clip, sample) float32 mono at librosa's own 22,050 Hz; without a rate from whole songs."""
    if rate is None:
        waves = [librosa.load(files[row])[0][start:][:steps] for row, start, _ in clips]
    else:
        half = 0.5 / rate  # librosa rounds down, and a start in seconds is rarely whole
        waves = [
            librosa.load(files[row], offset=start / rate + half, duration=steps / rate + half)[0]
            for row, start, _ in clips
        ]
    return torch.from_numpy(np.stack(waves))


def by_torchaudio(folder: Path, files: dict[int, Path], steps: int) -> Reader:
    """(clip, sample) float32: the data set's item is a whole song."""
    songs = torchaudio.datasets.GTZAN(folder, folder_in_archive="genres")
    place = {path.stem: number for number, path in enumerate(sorted(files.values()))}

    def read(clips: list[Clip]) -> Tensor:
        waves = [songs[place[files[row].stem]][0][0, start:][:steps] for row, start, _ in clips]
        return torch.stack(waves)

    return read


def features(results: Results, data: DataSettings, repeats: int, scratch: Path) -> None:
    """A batch of clips as pictures against librosa, and nnAudio where it is, clip by clip."""
    corpus = prepare(data)
    steps = round(data.clip_seconds * data.sample_rate)
    clips = Clips(corpus, steps, torch.from_numpy(corpus.genre_numbers()), None)
    batch = clips.__getitems__(draw(corpus, long_songs(corpus, steps), steps, 1)[0])["clip"]
    for kind in KINDS:
        spec = PictureSpec.of(data.model_copy(update={"features": kind}))
        _one_feature(results, spec, batch, repeats)
        if torch.cuda.is_available():
            times = _on_gpu(Features(spec).cuda(), batch.cuda(), repeats)
            what = f"{kind} of {len(batch)} clips on the GPU"
            results.add(measured(f"features/{kind}_gpu_ms", what, times, Target(2, False, "ms")))


def _one_feature(results: Results, spec: PictureSpec, batch: Tensor, repeats: int) -> None:
    ours, waves = Features(spec), batch.float() / 32767
    clips = waves.numpy()
    what = f"{spec.picture} of {len(batch)} clips"
    with torch.inference_mode():
        pairs = interleaved(
            lambda: ours.plain(waves),
            lambda: [librosa_picture(spec, clip) for clip in clips],
            repeats,
        )
        target = Target(3, least=True)
        key = f"features/{spec.picture}"
        results.add(compared(key, what, "librosa", pairs, len(batch), target))
        other = nnaudio(spec)
        if other is not None:
            pairs = interleaved(lambda: ours.plain(waves), lambda: other(waves), repeats)
            results.add(compared(f"{key}_nnaudio", what, "nnAudio", pairs, len(batch), None))


def librosa_picture(spec: PictureSpec, wave: np.ndarray) -> np.ndarray:
    """(sample,) -> (bin, frame): the call of librosa that each of our pictures equals."""
    common: Any = dict(n_fft=spec.n_fft, hop_length=spec.hop_length, win_length=spec.window)
    if spec.picture in ("stft", "spectrogram"):
        amplitude = np.abs(librosa.stft(wave, **common))
        if spec.scale == "linear":
            return amplitude
        return librosa.amplitude_to_db(amplitude, ref=np.max, top_db=FLOOR_DB)
    if spec.picture == "chroma":
        return librosa.feature.chroma_stft(y=wave, sr=spec.sample_rate, tuning=0.0, **common)
    power = librosa.feature.melspectrogram(
        y=wave, sr=spec.sample_rate, n_mels=spec.bins, fmin=spec.f_min, fmax=spec.f_max, **common
    )
    if spec.scale == "linear":
        return power
    level = librosa.power_to_db(power, ref=np.max, top_db=FLOOR_DB)
    if spec.picture == "mel":
        return level
    return librosa.feature.mfcc(S=level, n_mfcc=spec.coefficients)


def nnaudio(spec: PictureSpec) -> Callable[[Tensor], Tensor] | None:
    """nnAudio's layer for a picture (without decibels); None without it, or where it has none."""
    if find_spec("nnAudio") is None:
        return None
    from nnAudio import features as layers

    common = {"n_fft": spec.n_fft, "hop_length": spec.hop_length, "verbose": False}
    mel = {**common, "n_mels": spec.bins}
    if spec.picture == "mel":
        return layers.MelSpectrogram(sr=spec.sample_rate, **mel)
    if spec.picture == "mfcc":
        return layers.MFCC(sr=spec.sample_rate, n_mfcc=spec.coefficients, **mel)
    if spec.picture == "stft":
        return layers.STFT(output_format="Magnitude", **common)
    return None


def _on_gpu(features: Features, batch: Tensor, repeats: int) -> list[float]:
    """Milliseconds of a batch, from int16 to the picture that a network sees; 20 in a turn."""
    times = []
    with torch.inference_mode():
        for _ in range(repeats + 1):
            start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            start.record()
            for _ in range(20):
                features(batch)
            end.record()
            torch.cuda.synchronize()
            times.append(start.elapsed_time(end) / 20)
    return times[1:]
