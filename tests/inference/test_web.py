import asyncio
import os
import re
import time
from dataclasses import replace

import numpy as np
import pytest
import soundfile
from conftest import WIDTHS, check_fit, quick_flags
from serving import serving

from gtzan_lightning.data.catalogue import GENRES
from gtzan_lightning.data.packing import prepare
from gtzan_lightning.data.synthetic import render
from gtzan_lightning.inference.similar import Index, Library, library
from gtzan_lightning.inference.tagger import Tagger
from gtzan_lightning.inference.web_parts import alike
from gtzan_lightning.recipe.command_line import parse_run
from gtzan_lightning.training.train import train


@pytest.fixture(scope="module")
def trained(tmp_path_factory, packed):
    folder = tmp_path_factory.mktemp("web")
    recipe, _ = parse_run([*quick_flags(packed, folder), "--track.log_model", "false"])
    return recipe, train(recipe)


def test_a_song_is_most_like_itself(trained, tmp_path):
    recipe, outcome = trained
    tagger = Tagger.load(outcome.folder / "best.ckpt")
    corpus = prepare(recipe.data)
    told = []
    songs = library(tagger, corpus, tmp_path, lambda *far: told.append(far))
    assert told == [(n, len(corpus.ids)) for n in range(1, len(corpus.ids) + 1)]
    wave = corpus.recording(7).astype(np.float32) / 32767
    vector = tagger.embed(wave, 8000)
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-6)
    nearest = songs.nearest(vector)
    assert len(nearest) == 5
    assert nearest[0][0] == corpus.ids[7]
    assert nearest[0][2] == pytest.approx(1, abs=1e-3)
    middle, rate = songs.middle(nearest[0][0])
    assert rate == 8000
    np.testing.assert_array_equal(middle, wave)  # of four seconds all
    again = library(tagger, corpus, tmp_path, lambda *far: None)  # from the file
    assert np.array_equal(again.vectors, songs.vectors)


def test_songs_are_indexed_in_the_background_and_wait_for_listeners(trained, tmp_path):
    recipe, outcome = trained
    tagger = Tagger.load(outcome.folder / "best.ckpt")
    index = Index(tagger, lambda: prepare(recipe.data), tmp_path)
    assert index.words() == "still being indexed, the songs are being read"
    with index.paused():
        index.start()
        assert _wait(lambda: "1 of 60" in index.words())
        assert not index.is_ready
        assert "still being indexed, 1 of 60" in alike(index, None)
    assert _wait(lambda: index.is_ready)
    assert (index.words(), alike(index, None)) == ("", "")
    shown = alike(index, index.library.vectors[7])
    assert index.library.corpus.ids[7] in shown
    assert shown.count('<audio controls preload="metadata" src="data:audio/mpeg;base64,') == 5
    missing = recipe.data.model_copy(update={"corpus": "folder", "root": str(tmp_path / "none")})
    index = Index(tagger, lambda: prepare(missing), tmp_path)
    index.start()
    assert _wait(lambda: index.is_ready)
    assert index.words().startswith("no songs to compare with: ")


def test_a_corpus_of_pictures_has_the_sound_of_files_that_are_where_they_were(trained, tmp_path):
    corpus = prepare(trained[0].data)
    file = tmp_path / "song.wav"
    soundfile.write(file, np.full(12 * 8000, 0.5), 8000)
    songs = [{**song, "path": ""} for song in corpus.songs]
    songs[4]["path"], songs[5]["path"] = str(file), str(tmp_path / "moved.wav")
    pictures = replace(corpus, info={**corpus.info, "kind": "picture"}, songs=songs)
    wave, rate = Library(pictures, np.eye(60)).middle(corpus.ids[4])
    assert (len(wave), rate) == (80_000, 8000)
    assert Library(pictures, np.eye(60)).middle(corpus.ids[5]) is None
    assert Library(pictures, np.eye(60)).middle(corpus.ids[3]) is None


def _wait(condition, seconds=30):
    end = time.time() + seconds
    while not condition() and time.time() < end:
        time.sleep(0.01)
    return condition()


@pytest.fixture
def web(tmp_path, monkeypatch):
    """The page's module; gradio takes its folder when it is imported, once for all tests."""
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    from gtzan_lightning.inference import web

    return web


def test_an_address_in_place_of_a_sound_is_not_fetched(web, trained, tmp_path, monkeypatch):
    gradio, asked = web.gr, []

    async def get(url, *args, **named):
        asked.append(url)
        raise RuntimeError

    monkeypatch.setattr(gradio.processing_utils.sh, "get", get)
    served = web.Served("own", Tagger.load(trained[1].folder / "best.ckpt"), None)
    web._application(web.page(web.Answers({"own": served}), []), None)
    fetched = gradio.processing_utils.async_ssrf_protected_download
    with pytest.raises(gradio.Error, match="the page fetches nothing"):
        asyncio.run(fetched("http://example.com/song.wav", str(tmp_path)))
    assert asked == []


def test_an_example_outlives_the_uploads(web, tmp_path):
    file = tmp_path / "jazz.wav"
    first = soundfile.read(web._example(file))[0]
    os.utime(file, (0, 0))
    web._example(file)
    assert time.time() - file.stat().st_mtime < 60
    file.unlink()
    assert np.array_equal(soundfile.read(web._example(file))[0], first)


def test_a_genre_is_shown_where_no_reasons_can_be(web, trained, tmp_path):
    tagger = Tagger.load(trained[1].folder / "best.ckpt")
    tagger.spec = replace(tagger.spec, figure_aspect=1.5)
    soundfile.write(tmp_path / "song.wav", render("metal", 1, 9, 4.0, 22_050), 22_050)
    first, last = web._answer(web.Served("own", tagger, None), str(tmp_path / "song.wav"))
    assert first[0] == last[0]
    assert "data.figure_aspect" in last[2]


@pytest.fixture(scope="module")
def page(trained, tmp_path_factory):
    """The address of the page, in a process of its own."""
    recipe, outcome = trained
    flags = ["--run", str(outcome.folder / "best.ckpt"), "--track.folder", recipe.track.folder]
    with serving(tmp_path_factory.mktemp("page"), *flags) as served:
        yield served.address


@pytest.mark.many
def test_an_upload_a_recording_and_a_broken_file_in_a_real_browser(page, open_page, tmp_path):
    sound, broken = tmp_path / "song.flac", tmp_path / "broken.wav"
    soundfile.write(sound, render("metal", 1, 9, 4.0, 22_050), 22_050)
    broken.write_bytes(b"no sound" * 100)
    silent = tmp_path / "silent.wav"
    soundfile.write(silent, np.zeros(22_050), 22_050)
    view = open_page(page)
    answer = view.locator("#answer")
    answer.get_by_text("Drop a sound file").wait_for()

    _upload(view, sound)  # no button
    answer.get_by_text(re.compile("Sounds most like|Not sure|may not be music")).wait_for()
    view.locator("#why img").first.wait_for(timeout=60_000)
    told = _details(view)
    assert "model: best.ckpt: small_cnn, digest" in told
    assert "resampled from 22050 to 8000 Hz" in told
    assert "deletion" in told
    shown = view.inner_text("body")
    assert all(genre in shown for genre in GENRES)
    view.locator("#alike .song").nth(4).wait_for(timeout=60_000)
    assert ".s00" in view.inner_text("#alike")  # songs like it, by their ids
    player = view.locator("#alike audio").first
    player.evaluate("player => player.play()")
    assert player.evaluate("player => player.duration") == pytest.approx(4.0, abs=0.2)
    long, large = tmp_path / "long.wav", tmp_path / "large.wav"
    soundfile.write(long, np.full(601_000, 0.1), 1000)
    with large.open("wb") as file:
        file.truncate(64_000_000)
    view.reload()
    _upload(view, large)
    view.get_by_text("exceed the maximum allowed size of 60.0 Mb").first.wait_for(timeout=60_000)
    refused = ((broken, "unreadable"), (silent, "This may not be music"), (long, "more than 600 s"))
    for file, said in refused:
        view.reload()
        _upload(view, file)
        answer.get_by_text(said).wait_for(timeout=60_000)


@pytest.mark.many
def test_a_recording_is_answered_when_it_ends_and_is_the_sound_itself(page, open_page):
    view = open_page(page)
    view.get_by_label("Record audio").click()
    view.locator("button:visible", has_text="Record").first.click()
    view.wait_for_timeout(3000)
    view.locator("button:visible", has_text="Stop").first.click()
    view.locator("#why img").first.wait_for(timeout=60_000)
    assert "This may not be music" in view.inner_text("#answer")  # a tone
    told = _details(view)
    level = re.search(r"at (-?\d+) dBFS", told)
    # the tone has -9; a browser that takes noise out of a recording takes a tone out too
    assert level, told
    assert -14 <= int(level[1]) <= -5


@pytest.mark.many
@pytest.mark.parametrize("width", WIDTHS)
def test_the_web_page_fits_the_screen(page, open_page, width):
    view = open_page(page, width)
    example = view.get_by_role("button", name="synthetic classical")
    example.wait_for()
    check_fit(view)
    example.click()
    view.locator("#why img").first.wait_for(timeout=60_000)
    view.locator("#alike audio").nth(4).wait_for(timeout=60_000)
    check_fit(view)
    assert "dBFS" in _details(view)
    check_fit(view)


def _details(view):
    view.get_by_role("button", name="details").click()
    view.locator("#details").get_by_text("deletion").wait_for()
    return view.locator("#details").inner_text()


def _upload(view, file):
    view.get_by_test_id("file-upload").first.set_input_files(str(file))
