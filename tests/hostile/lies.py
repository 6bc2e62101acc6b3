"""Headers that lie: sizes, rates, channels, bits and counts that are not those of the sound."""

import struct
from collections.abc import Iterator

import numpy as np

from tests.hostile.songs import encoded, patched, plain, sealed
from tests.hostile.words import CHANNELS, CUT, DAMAGED, RATE, Draft, Truth

RATES = (1, 100, 1000, 4000, 96_000, 192_000, 384_000, 1_000_000, 10_000_000)
HUGE = 37_000_000_000  # bytes that a header promises
EDGES = {0, 1, 10_000_000}  # rates that no music has


def lies() -> Iterator[Draft]:
    """Of every format."""
    for make in (_wav, _rf64, _au, _aiff, _flac, _ogg, _mp3):
        yield from make()


def _rates(
    suffix: str, content: bytes, at: int, form: str, rates: tuple[int, ...] = RATES
) -> Iterator[Draft]:
    for rate in rates:
        truth: Truth = "broken" if rate in EDGES else "either"
        lie = patched(content, at, form, rate)
        yield Draft(f"{suffix}: rate {rate} Hz", suffix, lie, truth, f"{RATE}|{DAMAGED}")


def _wav() -> Iterator[Draft]:
    song = plain("wav")
    chunk, data = song.index(b"fmt ") + 8, song.index(b"data") + 4
    yield from _rates("wav", song, chunk + 4, "<I", (0, *RATES))
    for channels in (0, 3, 64, 1000, 65_535):
        truth: Truth = "broken" if channels in (0, 1000, 65_535) else "either"
        # the bytes of a frame must fit, or the decoder looks no further
        lie = patched(song, chunk + 2, "<H", channels)
        lie = patched(lie, chunk + 12, "<H", min(2 * channels, 65_535))
        yield Draft(f"wav: {channels} channels", "wav", lie, truth, CHANNELS)
    for bits in (0, 1, 12, 40, 64, 255):
        lie = patched(song, chunk + 14, "<H", bits)
        yield Draft(f"wav: {bits} bits", "wav", lie, "either")
    for size, truth in ((0, "either"), (1, "either"), (0x7FFFFFFF, "cut"), (0x8FFFFFFF, "cut")):
        lie = patched(song, data, "<I", size)
        yield Draft(f"wav: data size {size:#x}", "wav", lie, truth, CUT)
    # what a recorder writes that does not know the length yet: the song is whole
    yield Draft("wav: data size 0xffffffff", "wav", patched(song, data, "<I", 0xFFFFFFFF))
    for tag in (0x0000, 0x0055, 0x2000, 0xFFFE):
        lie = patched(song, chunk, "<H", tag)
        yield Draft(f"wav: format tag {tag:#x}", "wav", lie, "either")
    yield Draft("wav: fmt of 4 GB", "wav", patched(song, chunk - 4, "<I", 0xFFFFFFF0))
    yield Draft("wav: no fmt", "wav", song[:12] + song[data - 4 :], "broken", DAMAGED)
    yield Draft("wav: no data", "wav", song[: data - 4], "broken", DAMAGED)
    junk = b"junk" + struct.pack("<I", 0)
    yield Draft("wav: 10,000 empty chunks", "wav", song[:12] + 10_000 * junk + song[12:])
    yield Draft("wav: a header alone", "wav", song[: data + 4], "broken", DAMAGED)


def _rf64() -> Iterator[Draft]:
    wave = np.linspace(-0.5, 0.5, 24_000)[:, None] ** 3
    song = encoded(wave, 24_000, ("wav", "RF64", "PCM_16"))
    sizes = song.index(b"ds64") + 8
    for size in (HUGE, 2**62, 2**63):
        lie = patched(song, sizes, "<QQQ", size % 2**64, size % 2**64, (size // 2) % 2**64)
        truth: Truth = "cut" if size < 2**63 else "either"  # a negative one is no size
        yield Draft(f"rf64: data size {size:.3g}", "wav", lie, truth, DAMAGED)


def _au() -> Iterator[Draft]:
    song = plain("au")
    yield from _rates("au", song, 16, ">I")
    for channels in (0, 64, 1000):
        truth: Truth = "either" if channels == 64 else "broken"
        lie = patched(song, 20, ">I", channels)
        yield Draft(f"au: {channels} channels", "au", lie, truth, CHANNELS)
    for size, truth in ((0, "either"), (0x7FFFFFFF, "cut"), (0xFFFFFFFF, "either")):
        yield Draft(f"au: data size {size:#x}", "au", patched(song, 8, ">I", size), truth, CUT)
    for offset in (0, 24, 0x7FFFFFFF, 0xFFFFFFFF):
        lie = patched(song, 4, ">I", offset)
        yield Draft(f"au: data at {offset:#x}", "au", lie, "either")
    for encoding in (0, 7, 23, 99):
        lie = patched(song, 12, ">I", encoding)
        yield Draft(f"au: encoding {encoding}", "au", lie, "either")


def _aiff() -> Iterator[Draft]:
    song = plain("aiff")
    common, data = song.index(b"COMM") + 8, song.index(b"SSND") + 4
    for frames, truth in ((0, "either"), (1, "either"), (0x7FFFFFFF, "cut"), (0xFFFFFFFF, "cut")):
        lie = patched(song, common + 2, ">I", frames)
        # the length that counts is that of the data
        yield Draft(f"aiff: {frames:#x} frames", "aiff", lie, "either", CUT)
        if truth == "cut":
            lie = patched(lie, data, ">I", min(4 * frames + 8, 0x7FFFFFF0))
            yield Draft(f"aiff: {frames:#x} frames and their size", "aiff", lie, truth, CUT)
    for channels in (0, 64, 1000, 32_767):
        lie = patched(song, common, ">H", channels)
        yield Draft(f"aiff: {channels} channels", "aiff", lie, "either", CHANNELS)
    for bits in (0, 1, 12, 64):
        yield Draft(f"aiff: {bits} bits", "aiff", patched(song, common + 6, ">H", bits))
    # an exponent and 64 bits behind the point: 1 Hz, 10 MHz, no number, negative
    for what, exponent, fraction in (
        ("1 Hz", 0x3FFF, 1 << 63),
        ("10 MHz", 0x4016, 0x9896800000000000),
        ("no number", 0x7FFF, 0xC000000000000000),
        ("negative", 0xC00D, 0xBB80000000000000),
    ):
        lie = patched(song, common + 8, ">HQ", exponent, fraction)
        yield Draft(f"aiff: rate {what}", "aiff", lie, "broken", f"{RATE}|{DAMAGED}")


def _flac() -> Iterator[Draft]:
    song = plain("flac")
    at = song.index(b"fLaC") + 18
    (packed,) = struct.unpack_from(">Q", song, at)
    own = packed & (2**36 - 1)
    for total, truth in ((0, "either"), (1, "either"), (100 * own, "cut"), (2**36 - 1, "cut")):
        lie = patched(song, at, ">Q", packed - own + total)
        yield Draft(f"flac: {total} samples", "flac", lie, truth, DAMAGED)
    for rate in (0, 1, 100, 655_350):
        lie = patched(song, at, ">Q", (packed & (2**44 - 1)) | rate << 44)
        truth = "either" if rate > 1 else "broken"
        yield Draft(f"flac: rate {rate} Hz", "flac", lie, truth, f"{RATE}|{DAMAGED}")
    for what, shift, width, value in (("8 channels", 41, 3, 7), ("32 bits", 36, 5, 31)):
        mask = ((1 << width) - 1) << shift
        lie = patched(song, at, ">Q", (packed & ~mask) | value << shift)
        yield Draft(f"flac: {what}", "flac", lie, "either")


def _mp3() -> Iterator[Draft]:
    song = plain("mp3")
    info = max(song.find(b"Xing"), song.find(b"Info"))
    for frames in (0, 1, 10_000_000, 0xFFFFFFFF):
        lie = patched(song, info + 8, ">I", frames)
        yield Draft(f"mp3: {frames:#x} frames in Xing", "mp3", lie, "either", DAMAGED)
    tag = b"ID3\x04\x00\x00\x7f\x7f\x7f\x7f"
    yield Draft("mp3: tag of 256 MB", "mp3", tag + song, "either", DAMAGED)
    yield Draft("mp3: a tag alone", "mp3", tag[:6] + b"\0\0\x10\0" + bytes(2048), "broken", DAMAGED)


def _ogg() -> Iterator[Draft]:
    for suffix in ("ogg", "opus"):
        song = plain(suffix)
        last = song.rindex(b"OggS")
        for granule in (0, -1, 2**36, 2**62):
            lie = sealed(patched(song, last + 6, "<q", granule), last)
            yield Draft(f"{suffix}: last granule {granule:.3g}", suffix, lie, "either", DAMAGED)
        head = song.index(b"vorbis" if suffix == "ogg" else b"OpusHead")
        channels, rate = (
            head + (10 if suffix == "ogg" else 9),
            head + (11 if suffix == "ogg" else 12),
        )
        for value in (0, 1, 10_000_000):
            lie = sealed(patched(song, rate, "<I", value), 0)
            yield Draft(f"{suffix}: rate {value} Hz", suffix, lie, "either", RATE)
        for value in (0, 255):
            lie = sealed(patched(song, channels, "B", value), 0)
            yield Draft(f"{suffix}: {value} channels", suffix, lie, "broken", CHANNELS)
