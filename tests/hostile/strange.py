"""What is no music: numbers out of bounds, silence by the hour, other files, odd places."""

import io
import os
import random
import socket
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import soundfile

from tests.hostile.songs import of_wave, plain
from tests.hostile.words import CUT, DAMAGED, LONG, NUMBERS, Draft

FILES = {  # beginnings of files that are no sound
    "html": b"<!DOCTYPE html><html><body>404</body></html>\n",
    "json": b'{"song": "blues.00000"}\n',
    "ELF": b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x03\x00\x3e\x00",
    "png": b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR",
    "pdf": b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n",
    "mp4": b"\x00\x00\x00\x20ftypisom\x00\x00\x02\x00isomiso2avc1mp41",
    "pickle": b"\x80\x04\x95\x10\x00\x00\x00\x00\x00\x00\x00\x8c\x05posix\x94",
}


def numbers() -> Iterator[Draft]:
    """Samples that no microphone gives."""
    tone = 0.3 * np.sin(np.arange(22_050) / 9)
    for what, value in (("NaN", np.nan), ("Inf", np.inf), ("-Inf", -np.inf)):
        one = tone.copy()
        one[999] = value
        yield Draft(f"one {what} sample", "wav", of_wave(one), "broken", NUMBERS)
        many = np.full_like(tone, value)
        yield Draft(f"{what} samples", "wav", of_wave(many), "broken", NUMBERS)
    for value in (1e30, 3e38, -1e9, 2.0):
        yield Draft(f"samples of {value:g}", "wav", of_wave(tone * value))
    double = of_wave(tone * 1e300, subtype="DOUBLE")
    yield Draft("samples of 1e300", "wav", double, "either", NUMBERS)
    for what, wave in (("denormal samples", tone * 1e-40), ("zeros", tone * 0)):
        yield Draft(what, "wav", of_wave(wave), "broken", "silent")
    yield Draft("one value", "wav", of_wave(np.full_like(tone, 0.5)))
    yield Draft("a square of full scale", "wav", of_wave(np.sign(tone)))
    for rate in (8000, 22_050, 96_000):
        one = of_wave(tone[9:10], rate)
        yield Draft(f"one sample at {rate} Hz", "wav", one, "either", "short|no samples|silent")
    yield Draft("no samples", "wav", of_wave(tone[:0]), "broken", "no samples|short|empty")


def bombs() -> Iterator[Draft]:
    """Small files of many hours."""
    for hours, rate, channels in ((1, 8000, 1), (4, 44_100, 2), (24, 8000, 1)):
        content = _silence(hours * 60, rate, channels)
        size = f"{len(content) / 1e6:.1f} MB"
        kind = f"{hours} h of silence at {rate} Hz, {channels} channels, {size}"
        yield Draft(kind, "flac", content, "broken", LONG)


def _silence(minutes: int, rate: int, channels: int) -> bytes:
    memory, block = io.BytesIO(), np.zeros((60 * rate, channels), np.int16)
    with soundfile.SoundFile(memory, "w", rate, channels, "PCM_16", format="FLAC") as sink:
        for _ in range(minutes):
            sink.write(block)
    return memory.getvalue()


def others(rng: random.Random) -> Iterator[Draft]:
    """Files of other kinds, with the endings of sounds."""
    words = "it was a dark and stormy night\n" * 40
    yield Draft("text", "wav", words.encode(), "broken", "text")
    yield Draft("text of another encoding", "mp3", words.encode("utf-16"), "broken", DAMAGED)
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w") as archive:
        archive.writestr("song.wav", plain("wav"))
    yield Draft("zip", "wav", memory.getvalue(), "broken", "not a sound")
    for number, (what, beginning) in enumerate(FILES.items()):
        is_text = what in ("html", "json")
        content = beginning * 50 if is_text else beginning + rng.randbytes(3000)
        suffix = ("wav", "mp3", "flac", "ogg", "au", "aiff")[number % 6]
        reasons = "text|not a sound" if is_text else "not a sound"
        yield Draft(what, suffix, content, "broken", reasons)
    for suffix in ("wav", "mp3", "flac", "ogg", "opus", "au", "aiff"):
        yield Draft("empty", suffix, b"", "broken", "empty|no samples")
        yield Draft("noise of bytes", suffix, rng.randbytes(5000), "either", DAMAGED)
    yield Draft("1 byte", "wav", b"R", "broken", "text|not a sound|short")
    yield Draft("zero bytes by the thousand", "mp3", bytes(9000), "broken", DAMAGED)
    for suffix in ("flac", "ogg", "au", "aiff", "mp3"):
        # what a file is called does not matter
        yield Draft(f"a {suffix} called wav", "wav", plain(suffix), "either")


def places() -> Iterator[Draft]:
    """What is no plain file."""
    nothing = "no such file|not exist|dangl|link"
    loop = "loop|symbolic|levels|link"
    regular = "regular|not a.* file|pipe|fifo|socket|device"
    yield Draft("FIFO", "wav", os.mkfifo, "broken", regular)
    yield Draft("socket", "wav", _socket, "broken", regular)
    yield Draft("link to /dev/zero", "wav", _link("/dev/zero"), "broken", regular)
    yield Draft("link to /dev/stdin", "wav", _link("/dev/stdin"), "broken", f"{regular}|{nothing}")
    yield Draft("link to itself", "wav", lambda path: path.symlink_to(path.name), "broken", loop)
    yield Draft("dangling link", "mp3", _link("nowhere.mp3"), "broken", f"{nothing}|{regular}")
    yield Draft("folder", "wav", Path.mkdir, "broken", "folder")
    yield Draft("link to its folder", "flac", _link("."), "broken", "folder")
    yield Draft("sparse file of 10 GB", "wav", _sparse(b""), "broken", f"{DAMAGED}|large|big|GB")
    header = plain("wav")
    yield Draft("sparse song of 10 GB", "wav", _sparse(header), "either", f"{LONG}|{CUT}")


def _link(target: str) -> Callable[[Path], None]:
    return lambda path: path.symlink_to(target)


def _sparse(beginning: bytes) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        with path.open("wb") as file:
            file.write(beginning)
            file.truncate(10_000_000_000)

    return write


def _socket(path: Path) -> None:
    """Bound by a relative name: an address holds no more than 107 bytes."""
    before = Path.cwd()
    os.chdir(path.parent)
    try:
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind(os.fsencode(path.name))
    finally:
        os.chdir(before)
