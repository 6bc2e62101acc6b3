"""Sound files are decoded by another process, within bounds, to the samples of one go."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr

from gtzan_lightning.data import decoding, sound_files
from gtzan_lightning.data.audio import BrokenSong, check_song, forget
from gtzan_lightning.data.decoding import decode, probe_seconds
from gtzan_lightning.data.sound_files import SoundFile
from gtzan_lightning.errors import UserError

FORMATS = [
    ("a.wav", 44_100, "PCM_16"), ("a.wav", 22_050, "FLOAT"), ("a.wav", 44_100, "IMA_ADPCM"),
    ("a.flac", 96_000, "PCM_24"), ("a.mp3", 44_100, "MPEG_LAYER_III"), ("a.ogg", 48_000, "VORBIS"),
    ("a.opus", 48_000, "OPUS"), ("a.au", 8_000, "ULAW"), ("a.aiff", 11_025, "PCM_S8"),
]  # fmt: skip
ENDING = "import os, signal; os.kill(os.getpid(), signal.{})"


@pytest.fixture
def noise() -> np.ndarray:
    return np.random.default_rng(0).uniform(-0.3, 0.3, (150_000, 2)).astype(np.float32)


@pytest.mark.parametrize(("name", "rate", "subtype"), FORMATS)
def test_blocks_give_the_samples_of_one_go(tmp_path, noise, name, rate, subtype, monkeypatch):
    kind = "OGG" if name.endswith("opus") else None
    soundfile.write(tmp_path / name, noise, rate, subtype, format=kind)
    whole, _ = soundfile.read(tmp_path / name, dtype="float32", always_2d=True)
    wanted = np.clip(soxr.resample(whole.mean(1), rate, 22_050, quality="HQ"), -1, 1)
    got = decode(tmp_path / name, 22_050)
    assert (got.rate, got.channels, got.cut) == (rate, 2, "")
    assert got.decoded == pytest.approx(len(whole) / rate)
    np.testing.assert_array_equal(got.wave, wanted)
    monkeypatch.setattr(decoding, "IN_MEMORY", 20_000)  # the rest goes to a file
    monkeypatch.setattr(decoding, "_idle", [])  # a new one shares as little memory
    in_file = decode(tmp_path / name, 22_050).wave
    assert isinstance(in_file, np.memmap)
    check_song(in_file, 22_050, 0)
    forget(in_file)
    np.testing.assert_array_equal(in_file, wanted)


def test_what_is_no_file_is_named_and_never_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe.wav")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "s.wav"))
    (tmp_path / "loop.wav").symlink_to(tmp_path / "loop.wav")
    kinds = {"pipe.wav": "a named pipe", "s.wav": "a socket", "loop.wav": "a loop of links"}
    for path, what in {**kinds, "/dev/zero": "a device"}.items():
        for call in (probe_seconds, decode):
            with pytest.raises(BrokenSong, match=what):
                call(tmp_path / path)


@pytest.mark.parametrize(
    ("rate", "channels", "value", "what"),
    [
        (1, 1, 0.1, "a sample rate of 1 Hz, not of 1000 to 768000 Hz"),
        (10_000_000, 1, 0.1, "a sample rate of 10000000 Hz"),
        (8000, 65, 0.1, "65 channels, not 1 to 64"),
        (8000, 1, np.nan, "samples that are not numbers"),
        (8000, 2, np.inf, "samples that are not numbers"),
        (8000, 1, -1e30, r"samples up to 1e\+30; full scale is 1"),
    ],
)
def test_numbers_that_are_no_sound(tmp_path, rate, channels, value, what):
    wave = np.full((800, channels), 0.1, np.float32)
    wave[400] = value
    soundfile.write(tmp_path / "a.wav", wave, rate, "FLOAT")
    with pytest.raises(BrokenSong, match=f"unreadable: {what}"):
        decode(tmp_path / "a.wav", 22_050)


def test_sound_ends_at_its_bounds(tmp_path, monkeypatch):
    file = tmp_path / "a.flac"
    soundfile.write(file, np.zeros(2_000_000), 8000)
    with pytest.raises(BrokenSong, match="too long: more than 60 s"):
        decode(file, 8000, longest=60)
    assert len(decode(file, 8000).wave) == 2_000_000
    monkeypatch.setattr(sound_files, "MAY_BE_SILENT", 1_000_000)
    with (
        SoundFile(file) as sound,
        pytest.raises(BrokenSong, match="unpack to more than music does"),
    ):
        list(sound.blocks())


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        (ENDING.format("SIGPROF"), "computed for 4 s and was stopped"),
        (ENDING.format("SIGSEGV"), r"its decoder ended \(SIGSEGV\)"),
        ("import time; time.sleep(9)", "gave nothing for 0.5 s"),
    ],
)
def test_a_decoder_that_ends_or_hangs_costs_its_file(tmp_path, tone, monkeypatch, program, reason):
    soundfile.write(tmp_path / "a.wav", tone, 8000)
    monkeypatch.setattr(decoding, "_idle", [])
    with monkeypatch.context() as patch:
        patch.setattr(decoding, "COMMAND", [sys.executable, "-c", program])
        patch.setattr(decoding, "PATIENCE", 0.5 if "sleep" in program else 20)
        with pytest.raises(BrokenSong, match=f"unreadable: .*{reason}"):
            decode(tmp_path / "a.wav")
        patch.setattr(decoding, "COMMAND", ["/nowhere"])
        with pytest.raises(UserError, match="no process that decodes sound can be started"):
            decode(tmp_path / "a.wav")
    for _ in range(2):  # a fit one is used again
        assert len(decode(tmp_path / "a.wav").wave) == len(tone)
        assert len(decoding._idle) == 1


def test_a_waveform_without_room_is_an_error_of_its_song(tmp_path, tone, monkeypatch):
    soundfile.write(tmp_path / "a.wav", tone, 8000)
    monkeypatch.setattr(decoding, "IN_MEMORY", 10)
    monkeypatch.setattr(decoding.tempfile, "tempdir", str(tmp_path / "gone"))
    with pytest.raises(BrokenSong, match=r"finds no room in .*gone .*set TMPDIR"):
        decode(tmp_path / "a.wav")


def test_files_of_the_working_folder_are_no_libraries(tmp_path, tone):
    soundfile.write(tmp_path / "a.wav", tone, 8000)
    (tmp_path / "soxr.py").write_text("raise SystemExit(3)")
    code = "from pathlib import Path; from gtzan_lightning.data.decoding import decode; "
    code += "print(len(decode(Path('a.wav')).wave))"
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], cwd=tmp_path, capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": str(root)},
    )  # fmt: skip
    assert done.stdout == f"{len(tone)}\n", done.stderr
