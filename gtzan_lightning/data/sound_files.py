"""Sound files, opened and written. The only file that imports soundfile.

soundfile reads them (libsndfile: wav, au, aiff, flac, ogg, opus, mp3); torchaudio's loader needs
ffmpeg. Files of strangers are opened by a process that can be ended: see ``decoder``.
"""

import codecs
import contextlib
import io
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from gtzan_lightning.data.audio import BrokenSong, resample
from gtzan_lightning.data.listing import why_no_file

MP3_RATE = 22_050  # Hz, of what is only listened to
RATES = (1_000, 768_000)  # Hz
CHANNELS = 64
LONGEST = 12 * 3600  # seconds
# Music takes more than a byte for so many samples of all channels (opus of 6 kbit/s: 128). What
# unpacks to more is silence, or made to fill a memory; ten minutes may be silent.
SAMPLES_PER_BYTE = 150
MAY_BE_SILENT = 10 * 60 * 48_000 * 2  # samples
BLOCK = 2**17  # samples of all channels
# how files of formats that libsndfile knows begin
BEGINNINGS = (b"RIFF", b"RF64", b"FORM", b".snd", b"fLaC", b"OggS", b"ID3")


def libsndfile() -> tuple[str, list[str]]:
    """Its release, and the endings of the music files that it reads."""
    able = soundfile.available_formats()
    known = {"WAV": "wav", "AU": "au", "AIFF": "aiff", "FLAC": "flac", "OGG": "ogg", "MP3": "mp3"}
    formats = [ending for name, ending in known.items() if name in able]
    if "OPUS" in soundfile.available_subtypes():
        formats.append("opus")
    return soundfile.__libsndfile_version__, formats


@dataclass(frozen=True)
class Header:
    """What a file says of itself; nothing of it need be true."""

    rate: int
    channels: int
    seconds: float
    cut: str  # what is missing, where the header promises more bytes than there are


class SoundFile:
    """An opened sound file, read in blocks; a context manager.

    Raises:
        BrokenSong: it can't be read as sound, or its rate or channels are out of bounds.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._stack = contextlib.ExitStack()
        try:
            self._bytes, self._file = self._open()
            self.header = self._read_header()
        except BaseException:
            self._stack.close()
            raise

    def __enter__(self) -> "SoundFile":
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def blocks(self, longest: float = LONGEST) -> Iterator[np.ndarray]:
        """float32 (sample, channel), one behind the other.

        Args:
            longest: seconds.

        Raises:
            BrokenSong: damaged, longer than ``longest``, or with values that are no sound.
        """
        header, done = self.header, 0
        music = SAMPLES_PER_BYTE * self._bytes
        # where the header itself promises more than music, nobody waits for that much
        is_honest = header.seconds * header.rate * header.channels <= music
        most = max(MAY_BE_SILENT, music) if is_honest else MAY_BE_SILENT
        while True:
            try:
                frames = max(1, BLOCK // header.channels)
                block = self._file.read(frames, dtype="float32", always_2d=True)
            except (soundfile.LibsndfileError, RuntimeError):
                raise BrokenSong("unreadable", _reason(self.path)) from None
            if not len(block):
                return
            done += len(block)
            if done > longest * header.rate:
                raise BrokenSong("too long", f"more than {longest:g} s")
            if done * header.channels > most:
                raise BrokenSong("too long", f"{self._bytes} bytes unpack to more than music does")
            yield block

    def _open(self) -> tuple[int, soundfile.SoundFile]:
        try:
            if why := why_no_file(self.path):  # to open a named pipe would wait
                raise BrokenSong("unreadable", why)
            # by a number, not by its name: names need not be UTF-8, and may lead elsewhere by now
            number = os.open(self.path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | _BINARY)
            self._stack.callback(os.close, number)
            opened = os.fstat(number)
            if not stat.S_ISREG(opened.st_mode):
                raise BrokenSong("unreadable", "not a file")
            file = soundfile.SoundFile(number, closefd=False)
            self._stack.callback(file.close)
        except OSError as error:
            raise BrokenSong("unreadable", str(error.strerror or error)) from None
        except (soundfile.LibsndfileError, RuntimeError, TypeError):
            raise BrokenSong("unreadable", _reason(self.path)) from None
        return opened.st_size, file

    def _read_header(self) -> Header:
        rate, channels = self._file.samplerate, self._file.channels
        if not RATES[0] <= rate <= RATES[1]:
            bounds = f"{RATES[0]} to {RATES[1]} Hz"
            raise BrokenSong("unreadable", f"a sample rate of {rate} Hz, not of {bounds}")
        if not 1 <= channels <= CHANNELS:
            raise BrokenSong("unreadable", f"{channels} channels, not 1 to {CHANNELS}")
        return Header(rate, channels, self._file.frames / rate, self._missing())

    def _missing(self) -> str:
        """What the header promises beyond what is there.

        libsndfile reads a cut file as if it ended there; its log alone tells what was promised.
        """
        log, frames = self._file.extra_info, self._file.frames
        found = re.search(r"(?:data|SSND)\s*(?:size)?\s*: (\d+) \(should be (\d+)\)", log, re.I)
        if found and int(found[2]) < int(found[1]) and not _is_unknown(int(found[1])):
            return f"{found[2]} of {found[1]} bytes are there"
        found = re.search(r"ds64.*\n\s*Frames\s*: (\d+)", log, re.S)
        if found and frames < int(found[1]):
            return f"{frames} of {found[1]} samples are there"
        found = re.search(r"Data Size\s*: (\d+)\n", log)
        if found and not frames and int(found[1]) > self._bytes:
            return f"{self._bytes} of {found[1]} bytes are there"
        return ""


def _is_unknown(size: int) -> bool:
    """Whether a size is what programs write that can't go back to it: ffmpeg's or sox's."""
    # sox takes whole samples of all channels
    return size >= 0xFFFFFF00 or 0x7FFFF000 - 64 <= size <= 0x7FFFF000


_BINARY = getattr(os, "O_BINARY", 0)  # of Windows


def _reason(path: Path) -> str:
    """Why a file is no sound; libsndfile's own reasons are often those of other faults."""
    try:
        with path.open("rb") as file:
            beginning = file.read(4096)
    except OSError as error:
        return str(error.strerror or error)
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


def write(path: Path, wave: np.ndarray, rate: int) -> None:
    """(sample,) floats as a 16-bit wav file, quieter only where it would clip.

    Raises:
        OSError: the disk can't take it.
    """
    memory = io.BytesIO()  # libsndfile does not say what a disk refused
    soundfile.write(memory, wave / max(1.0, float(np.abs(wave).max(initial=0))), rate, format="WAV")
    path.write_bytes(memory.getvalue())


def to_mp3(wave: np.ndarray, rate: int) -> bytes:
    """(sample,) floats in [-1, 1] as an MP3 file, which every browser plays."""
    memory = io.BytesIO()
    soundfile.write(memory, resample(wave, rate, MP3_RATE), MP3_RATE, format="MP3")
    return memory.getvalue()
