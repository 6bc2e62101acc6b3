"""Pages that commands write, in a real browser at three widths."""

import numpy as np
import pandas as pd
import pytest
from conftest import RATE, WIDTHS, check_fit, run

from gtzan_lightning.data.synthetic import render
from gtzan_lightning.inference.explain import explain_sound
from gtzan_lightning.inference.explained import write_explained
from gtzan_lightning.inference.sound import wave_to_sound
from gtzan_lightning.inference.tagger import Tagger
from gtzan_lightning.results.html import html, html_of_pairs
from gtzan_lightning.results.significance import of_run, pairs
from gtzan_lightning.results.tables import tables

pytestmark = pytest.mark.many


def answers(right):
    """(part, song, ...) of twenty songs of jazz, of which a share is predicted right."""
    probability = np.where(np.arange(20) < 20 * right, 0.9, 0.2)
    columns = {"jazz": np.log(probability), "rock": np.log(1 - probability)}
    songs = [f"s{n}" for n in range(20)]
    return pd.DataFrame({"part": "test", "song": songs, "start": 0.0, "genre": "jazz"} | columns)


@pytest.fixture(scope="module")
def files(tmp_path_factory, checkpoint):
    """The pages by their names."""
    folder = tmp_path_factory.mktemp("pages")
    runs = [
        run(f"{n}" * 32, recipe=f"r{n}", model=model, commit="0123456789", **{
            "final/test/song_accuracy": accuracy, "parameters": parameters})
        for n, (model, accuracy, parameters) in enumerate([
            ("efficientnet_lite0", 0.8, 3_400_000), ("small_cnn", 0.6, 900), ("knn", 0.4, None)])
    ]  # fmt: skip
    made = tables(pd.DataFrame(runs))
    history = [(epoch, epoch / 10) for epoch in range(9)]
    compared = html(
        made, lambda run_id: answers(0.8), lambda run_id: history,
        lambda run_id: f"http://127.0.0.1:1/#/runs/{run_id}", "",
    )  # fmt: skip
    (folder / "compare.html").write_text(compared)
    systems = [of_run(name, answers(right), "test") for name, right in (("a", 0.9), ("b", 0.3))]
    (folder / "pairs.html").write_text(html_of_pairs(pairs(systems), "the test part of gtzan"))
    tagger = Tagger.load(checkpoint)
    sound = wave_to_sound(render("jazz", 1, 0, 4.0, RATE), RATE, tagger.sample_rate)
    why = explain_sound(tagger, "a song with_a_very_long_name" * 3, sound)
    write_explained(why, "explained", sound, "a model", folder)
    return {file.stem: file.as_uri() for file in folder.glob("*.html")}


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", ["compare", "pairs", "explained"])
def test_a_page_fits_the_screen(open_page, files, name, width):
    view = open_page(files[name], width, color_scheme="dark" if width == WIDTHS[0] else "light")
    for folded in view.locator("summary").all():
        folded.click()
    check_fit(view)
    for player in view.locator("audio").all():
        player.evaluate("player => player.play()")
        assert player.evaluate("player => player.duration") > 0.5


def test_dark_is_dark(open_page, files):
    paper = "getComputedStyle(document.body).backgroundColor"
    light, dark = (
        open_page(files["compare"], color_scheme=scheme).evaluate(paper)
        for scheme in ("light", "dark")
    )
    assert (light, dark) == ("rgb(255, 255, 255)", "rgb(21, 24, 28)")


def test_headings_sort_by_keyboard_and_say_so(open_page, files):
    view = open_page(files["compare"])
    models = view.locator("tbody tr td:first-child")
    heads = {n: view.get_by_role("columnheader", name=n) for n in ("song accuracy", "parameters")}

    def order():
        return models.all_inner_texts(), [h.get_attribute("aria-sort") for h in heads.values()]

    best = ["efficientnet_lite0", "small_cnn", "knn"]
    assert order() == (best, ["descending", "none"])
    view.get_by_role("button", name="parameters").focus()
    view.keyboard.press("Enter")
    # 900 as a number; a row without one stands last both ways
    assert order() == (["small_cnn", "efficientnet_lite0", "knn"], ["none", "ascending"])
    view.keyboard.press("Space")
    assert order() == (best, ["none", "descending"])
    link = view.get_by_role("link", name="00000000")
    assert link.get_attribute("href") == "http://127.0.0.1:1/#/runs/" + "0" * 32
