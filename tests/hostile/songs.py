"""Synthetic songs in every format that is listed as music."""

import io
import random
import struct

import numpy as np
import soundfile

from gtzan_lightning.data.catalogue import GENRES
from gtzan_lightning.data.synthetic import render

_PLAIN = ("PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "ALAW")
# (suffix, format, subtype): 8 to 64 bit
FORMATS = [
    ("wav", "WAV", "PCM_U8"),
    *(("wav", "WAV", subtype) for subtype in _PLAIN),
    ("wav", "WAVEX", "PCM_16"),
    ("wav", "RF64", "PCM_24"),
    *(("au", "AU", subtype) for subtype in ("PCM_S8", *_PLAIN)),
    *(("aiff", "AIFF", subtype) for subtype in ("PCM_S8", *_PLAIN)),
    *(("flac", "FLAC", subtype) for subtype in ("PCM_S8", "PCM_16", "PCM_24")),
    ("mp3", "MP3", "MPEG_LAYER_III"),
    ("ogg", "OGG", "VORBIS"),
    ("opus", "OGG", "OPUS"),
]
RATES = (8000, 11025, 22050, 32000, 44100, 48000)
OPUS_RATES = (8000, 16000, 24000, 48000)


def song(rng: random.Random, number: int, form: tuple[str, str, str]) -> bytes:
    """A song of 1 to 2 s in a format of ``FORMATS``; another one for every number."""
    genre = GENRES[number % len(GENRES)]
    rate = rng.choice(OPUS_RATES if form[2] == "OPUS" else RATES)
    wave = render(genre, number, 17, rng.uniform(1.0, 2.0), rate)
    channels = rng.choice((1, 1, 2))
    return encoded(np.stack([wave * (1 - n / 4) for n in range(channels)], 1), rate, form)


def encoded(wave: np.ndarray, rate: int, form: tuple[str, str, str]) -> bytes:
    """(sample, channel) floats as a file of a format of ``FORMATS``."""
    memory = io.BytesIO()
    soundfile.write(memory, wave, rate, form[2], format=form[1])
    content = memory.getvalue()
    if form[1] == "OGG":
        return _numbered(content)
    peak = content.find(b"PEAK")  # its time, too, would tell equal songs apart
    return content if peak < 0 else patched(content, peak + 12, "<I", 0)


def patched(content: bytes, at: int, form: str, *values: int | float) -> bytes:
    """``content`` with values packed into it at a place."""
    changed = bytearray(content)
    struct.pack_into(form, changed, at, *values)
    return bytes(changed)


def sealed(song: bytes, page: int) -> bytes:
    """The checksum of an Ogg page put right, so that a change is believed."""
    segments = song[page + 26]
    size = 27 + segments + sum(song[page + 27 : page + 27 + segments])
    crc = 0
    for byte in patched(song, page + 22, "<I", 0)[page : page + size]:
        crc = (crc << 8 & 0xFFFFFFFF) ^ _CRC[crc >> 24 ^ byte]
    return patched(song, page + 22, "<I", crc)


def _numbered(song: bytes) -> bytes:
    """Ogg whose stream has number 1, where libsndfile draws one."""
    page = 0
    while page >= 0:
        song = sealed(patched(song, page + 14, "<I", 1), page)
        page = song.find(b"OggS", page + 27)
    return song


def _crc(byte: int) -> int:
    crc = byte << 24
    for _ in range(8):
        crc = (crc << 1 ^ 0x04C11DB7 if crc & 0x80000000 else crc << 1) & 0xFFFFFFFF
    return crc


_CRC = [_crc(byte) for byte in range(256)]


def plain(suffix: str) -> bytes:
    """A song of two channels, of 16 bit where the format has bits, which lies are written into."""
    forms = [form for form in FORMATS if form[0] == suffix]
    form = next((form for form in forms if form[2] == "PCM_16"), forms[0])
    wave = render("rock", 0, 23, 1.5, 24_000)
    return encoded(np.stack([wave, wave], 1), 24_000, form)


def of_wave(wave: np.ndarray, rate: int = 22_050, subtype: str = "FLOAT") -> bytes:
    """(sample,) numbers of any size as a wav file, unclipped."""
    return encoded(wave[:, None], rate, ("wav", "WAV", subtype))
