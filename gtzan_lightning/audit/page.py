"""Findings as one HTML page that needs no network: small pictures and short players inside."""

import base64
import io
import struct
import wave
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jinja2 import Environment, FileSystemLoader

from gtzan_lightning.audit.findings import Example, Finding
from gtzan_lightning.audit.songs import Sound, Subject
from gtzan_lightning.data.audio import BrokenSong
from gtzan_lightning.data.decoding import decode

EXAMPLES = 6  # that are drawn for each finding
PLAYED = 24  # songs that can be heard: 64 kB each
RATE, SECONDS = 8000, 3.0
RULES = ("same sound", "sound", "recording", "short", "silent", "edges", "clipped", "band-limited")


@dataclass(frozen=True)
class Shown:
    """A song of an example: data addresses of its picture and of its sound, empty without."""

    song: str
    picture: str = ""
    sound: str = ""


def html(subject: Subject, findings: Sequence[Finding], summary: str) -> str:
    """The page as text."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, trim_blocks=True,
        lstrip_blocks=True, keep_trailing_newline=True,
    )  # fmt: skip
    sounds = {sound.id: sound for sound in subject.sounds}
    players = 0
    sections = []
    for finding in findings:
        rows: list[tuple[Example, list[Shown]]] = []
        for example in finding.examples[:EXAMPLES]:
            known = finding.rule in RULES and all(song in sounds for song in example.songs)
            played = known and players + len(example.songs) <= PLAYED
            shown = [
                _shown(sounds[song], example.starts[n] if example.starts else 0.0, played)
                for n, song in enumerate(example.songs)
            ] if known else []  # fmt: skip
            players += len(shown)
            rows.append((example, shown))
        sections.append((finding, rows))
    return environment.get_template("page.html.jinja").render(
        name=subject.name, sections=sections, summary=summary
    )


def _shown(sound: Sound, start: float, is_played: bool) -> Shown:
    player = _player(sound.path, start) if sound.path and is_played else ""
    return Shown(sound.id, _address("image/png", png(sound.envelope)), player)


def _player(path: Path, start: float) -> str:
    try:
        whole = decode(path, RATE).wave
    except BrokenSong:
        return ""
    cut = whole[int(start * RATE) : int((start + SECONDS) * RATE)]
    memory = io.BytesIO()
    with wave.open(memory, "wb") as file:
        file.setparams((1, 2, RATE, 0, "NONE", ""))
        file.writeframes((cut * 32767).astype("<i2").tobytes())
    return _address("audio/wav", memory.getvalue())


def png(envelope: np.ndarray) -> bytes:
    """(band, frame) decibels -> a grey PNG, low bands below, at most 360 frames wide."""
    step = max(1, envelope.shape[1] // 360)
    level = envelope[::-1, ::step].repeat(3, 0)
    grey = ((level + 80) * (255 / 80)).clip(0, 255).astype(np.uint8)
    lines = b"".join(b"\0" + row.tobytes() for row in grey)
    head = struct.pack(">IIBBBBB", grey.shape[1], grey.shape[0], 8, 0, 0, 0, 0)
    body = _chunk(b"IHDR", head) + _chunk(b"IDAT", zlib.compress(lines)) + _chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def _chunk(kind: bytes, content: bytes) -> bytes:
    check = struct.pack(">I", zlib.crc32(kind + content))
    return struct.pack(">I", len(content)) + kind + content + check


def _address(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
