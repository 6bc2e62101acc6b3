"""Sound files -> mono waveforms. The only file that opens sound files.

soundfile reads them (libsndfile: wav, au, aiff, flac, ogg, opus, mp3) and soxr resamples them
(HQ: flat to 0.9 of the Nyquist frequency, stop band below -140 dB); torchaudio's loader needs
ffmpeg and its default resampler aliases.
"""

import codecs
import io
import os
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import soundfile
import soxr

Item = TypeVar("Item")
MP3_RATE = 22_050  # Hz, of what is only listened to
SILENCE = 1e-4  # a song whose loudest sample is below this (-80 dB) has no music
WHOLE = 0.98  # share of the stated length that must be there: MP3's is often an estimate
# how files of formats that libsndfile knows begin
BEGINNINGS = (b"RIFF", b"RF64", b"FORM", b".snd", b"fLaC", b"OggS", b"ID3")


class BrokenSong(Exception):
    """A file that can't be used as a song; ``what`` is the kind of fault."""

    def __init__(self, what: str, detail: str) -> None:
        super().__init__(f"{what}: {detail}" if detail else what)
        self.what, self.detail = what, detail


def libsndfile() -> tuple[str, list[str]]:
    """Its release, and the endings of the music files that it reads."""
    able = soundfile.available_formats()
    known = {"WAV": "wav", "AU": "au", "AIFF": "aiff", "FLAC": "flac", "OGG": "ogg", "MP3": "mp3"}
    formats = [ending for name, ending in known.items() if name in able]
    if "OPUS" in soundfile.available_subtypes():
        formats.append("opus")
    return soundfile.__libsndfile_version__, formats


def probe_seconds(path: Path) -> float:
    """Length that the file's header states, in seconds.

    Raises:
        BrokenSong: the file can't be read as sound, is empty, or is shorter than it states.
    """
    info = _of_file(soundfile.info, path, verbose=True)
    if info.frames <= 0:
        raise BrokenSong("too short", "no samples")
    # libsndfile reads a cut file as if it ended there; its log alone tells what was promised
    cut = re.search(r"data\s*(?:size)?\s*: (\d+) \(should be (\d+)\)", info.extra_info, re.I)
    if cut and int(cut[2]) < int(cut[1]) < 0xFFFFFF00:
        raise BrokenSong("truncated", f"{cut[2]} of {cut[1]} bytes are there")
    return info.frames / info.samplerate


def decode(path: Path, sample_rate: int) -> np.ndarray:
    """A file of any rate and channel count as float32 (sample,) in [-1, 1] at ``sample_rate``.

    Raises:
        BrokenSong: unreadable, without samples, or with values that are no numbers.
    """
    wave, rate = read(path)
    return resample(to_mono(wave), rate, sample_rate)


def read(path: Path) -> tuple[np.ndarray, int]:
    """A file as float32 (sample, channel) and its own sample rate. Raises as ``decode`` does."""
    return _of_file(soundfile.read, path, dtype="float32", always_2d=True)


def _of_file(call: Callable[..., Any], path: Path, **options: Any) -> Any:
    # names need not be UTF-8, but soundfile would encode them so
    name = os.fsencode(path) if os.name == "posix" else str(path)
    try:
        return call(name, **options)
    except (soundfile.LibsndfileError, OSError, RuntimeError):
        raise BrokenSong("unreadable", _reason(path)) from None


def _reason(path: Path) -> str:
    """Why a file is no sound; libsndfile's own reasons are often those of other faults."""
    if path.is_dir():
        return "a folder, not a file"
    try:
        with path.open("rb") as file:
            beginning = file.read(4096)
    except OSError as error:
        denied = isinstance(error, PermissionError)
        return "no permission to read it" if denied else str(error.strerror)
    if not beginning:
        return "the file is empty"
    if _is_text(beginning):
        return "text, not sound"
    is_mpeg = beginning[0] == 0xFF and beginning[1:2] >= b"\xe0"
    if is_mpeg or beginning.startswith(BEGINNINGS):
        return "truncated, damaged, or of a codec that libsndfile lacks"
    return "not a sound file that libsndfile knows"


def _is_text(beginning: bytes) -> bool:
    """Whether it is UTF-8 without control characters; a character may be cut at the end."""
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(beginning)
    except UnicodeDecodeError:
        return False
    return all(letter.isprintable() or letter.isspace() for letter in text)


def check_whole(seconds: float, stated: float) -> None:
    """Raise ``BrokenSong`` for a song that ends before the length that its file states."""
    if seconds < WHOLE * stated:
        raise BrokenSong("truncated", f"{seconds:.2f} of {stated:.2f} s are there")


def write(path: Path, wave: np.ndarray, rate: int) -> None:
    """(sample,) floats as a 16-bit wav file, quieter only where it would clip."""
    soundfile.write(path, wave / max(1.0, float(np.abs(wave).max(initial=0))), rate, format="WAV")


def to_mp3(wave: np.ndarray, rate: int) -> bytes:
    """(sample,) floats in [-1, 1] as an MP3 file, which every browser plays."""
    memory = io.BytesIO()
    soundfile.write(memory, resample(wave, rate, MP3_RATE), MP3_RATE, format="MP3")
    return memory.getvalue()


def to_mono(wave: np.ndarray) -> np.ndarray:
    """(sample, channel) -> (sample,), the mean of the channels. Raises as ``decode`` does."""
    mono = wave.mean(axis=1) if wave.shape[1] > 1 else wave[:, 0]
    if not len(mono):
        raise BrokenSong("too short", "no samples")
    if not np.isfinite(mono).all():
        raise BrokenSong("unreadable", "samples that are not numbers")
    return mono


def resample(wave: np.ndarray, rate: int, sample_rate: int) -> np.ndarray:
    """(sample,) at ``rate`` -> (sample,) within [-1, 1] at ``sample_rate``."""
    return np.clip(soxr.resample(wave, rate, sample_rate, quality="HQ"), -1.0, 1.0)


def to_int16(wave: np.ndarray) -> np.ndarray:
    """float32 in [-1, 1] -> int16; ``/ 32767`` brings it back."""
    return np.round(wave * 32767).astype(np.int16)


def check_song(wave: np.ndarray, sample_rate: int, min_seconds: float) -> None:
    """Raise ``BrokenSong`` for a waveform that is too short or silent."""
    seconds = len(wave) / sample_rate
    if seconds < min_seconds:
        raise BrokenSong(
            "too short", f"{seconds:.2f} s, less than data.min_seconds {min_seconds:g}"
        )
    if float(np.abs(wave).max()) < SILENCE:
        raise BrokenSong("silent", f"no sample above {SILENCE:g}")


def windowed(
    pool: ThreadPoolExecutor, call: Callable[[Item], Any], items: Iterable[Item], ahead: int
) -> Iterator[Any]:
    """Like ``pool.map``, with at most ``ahead`` decoded songs in memory."""
    waiting: deque[Future[Any]] = deque()
    for item in items:
        waiting.append(pool.submit(call, item))
        if len(waiting) >= ahead:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()
