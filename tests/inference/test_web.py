import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import pytest
import soundfile
from conftest import quick_flags

from gtzan_lightning.data.catalogue import GENRES
from gtzan_lightning.data.packing import prepare
from gtzan_lightning.data.synthetic import render
from gtzan_lightning.inference.similar import library
from gtzan_lightning.inference.tagger import Tagger
from gtzan_lightning.recipe.command_line import parse_run
from gtzan_lightning.training.train import train

ROOT = Path(__file__).parents[2]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.fixture(scope="module")
def trained(tmp_path_factory, packed):
    folder = tmp_path_factory.mktemp("web")
    recipe, _ = parse_run([*quick_flags(packed, folder), "--track.log_model", "false"])
    return recipe, train(recipe)


def test_a_song_is_most_like_itself(trained, tmp_path):
    recipe, outcome = trained
    tagger = Tagger.load(outcome.folder / "best.ckpt")
    corpus = prepare(recipe.data)
    songs = library(tagger, corpus, tmp_path)
    wave = corpus.array[7, : corpus.lengths[7]].astype(np.float32) / 32767
    vector = tagger.embed(wave, 8000)
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-6)
    nearest = songs.nearest(vector)
    assert len(nearest) == 5
    assert nearest[0][0] == corpus.ids[7]
    assert nearest[0][2] == pytest.approx(1, abs=1e-3)
    again = library(tagger, corpus, tmp_path)  # from the file
    assert np.array_equal(again.vectors, songs.vectors)


@pytest.fixture(scope="module")
def page(trained, tmp_path_factory):
    """The page in a process of its own; its address and its folder of temporary files."""
    recipe, outcome = trained
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    temporary = tmp_path_factory.mktemp("cache")
    command = [sys.executable, "experiments/app.py", "--run", str(outcome.folder / "best.ckpt")]
    command += ["--track.folder", recipe.track.folder, "--port", str(port)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(temporary)}
    process = subprocess.Popen(command, cwd=ROOT, env=environment)
    address = f"http://127.0.0.1:{port}"
    for _ in range(300):
        try:
            urllib.request.urlopen(address, timeout=1).close()
            break
        except (urllib.error.URLError, ConnectionError):
            assert process.poll() is None
            time.sleep(0.2)
    yield address
    process.terminate()
    process.wait()


@pytest.fixture
def browser(tmp_path):
    """Chromium whose microphone plays a tone; skipped where there is none."""
    playwright = pytest.importorskip("playwright.sync_api")
    if not CHROMIUM:
        pytest.skip("no chromium on this machine")
    t = np.arange(44_100 * 3) / 44_100
    tone = tmp_path / "tone.wav"
    soundfile.write(tone, 0.5 * np.sin(2 * np.pi * 440 * t), 44_100, subtype="PCM_16")
    flags = [
        "--no-sandbox", "--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream",
        f"--use-file-for-fake-audio-capture={tone}",
    ]  # fmt: skip
    with playwright.sync_playwright() as run:
        chromium = run.chromium.launch(executable_path=CHROMIUM, args=flags)
        yield chromium.new_context(permissions=["microphone"])
        chromium.close()


@pytest.mark.many
def test_an_upload_a_recording_and_a_broken_file_in_a_real_browser(page, browser, tmp_path):
    sound, broken = tmp_path / "song.flac", tmp_path / "broken.wav"
    soundfile.write(sound, render("metal", 1, 9, 4.0, 22_050), 22_050)
    broken.write_bytes(b"no sound" * 100)
    silent = tmp_path / "silent.wav"
    soundfile.write(silent, np.zeros(22_050), 22_050)
    view = browser.new_page()
    hosts = set()
    view.on("request", lambda request: hosts.add(request.url.split("/")[2].split(":")[0]))
    view.goto(page)
    message = view.locator("#message")
    view.get_by_role("button", name="Listen").click()
    message.get_by_text("Record something or drop a file first.").wait_for()

    view.get_by_test_id("file-upload").first.set_input_files(str(sound))
    view.locator("audio, #waveform").first.wait_for(state="attached")
    view.get_by_role("button", name="Listen").click()
    message.get_by_text("resampled from 22050 to 8000 Hz").wait_for(timeout=30_000)
    assert "deletion" in message.inner_text()
    shown = view.inner_text("body")
    assert all(genre in shown for genre in GENRES)
    view.locator("img").first.wait_for()
    assert ".s00" in shown  # songs like it, by their ids
    long, large = tmp_path / "long.wav", tmp_path / "large.wav"
    soundfile.write(long, np.full(601_000, 0.1), 1000)
    with large.open("wb") as file:
        file.truncate(64_000_000)
    view.reload()
    view.get_by_test_id("file-upload").first.set_input_files(str(large))
    view.get_by_text("exceed the maximum allowed size of 60.0 Mb").first.wait_for(timeout=20_000)
    refused = ((broken, "unreadable"), (silent, "silent"), (long, "601 s, more than 600 s"))
    for file, said in refused:
        view.reload()
        view.get_by_test_id("file-upload").first.set_input_files(str(file))
        view.wait_for_timeout(1500)
        view.get_by_role("button", name="Listen").click()
        message.get_by_text(said).wait_for(timeout=20_000)
        assert "can't be used" in message.inner_text()

    view.reload()
    view.get_by_label("Record audio").click()
    view.locator("button:visible", has_text="Record").first.click()
    view.wait_for_timeout(3000)
    view.locator("button:visible", has_text="Stop").first.click()
    view.wait_for_timeout(1500)
    with view.expect_response(lambda r: "queue/data" in r.url, timeout=30_000):
        view.get_by_role("button", name="Listen").click()
    message.get_by_text("deletion").wait_for(timeout=30_000)
    level = re.search(r"at (-?\d+) dBFS", message.inner_text())
    # the tone has -9; a browser that takes noise out of a recording takes a tone out too
    assert level, message.inner_text()
    assert -14 <= int(level[1]) <= -5
    assert hosts <= {"127.0.0.1", ""}  # nothing was asked of another host
