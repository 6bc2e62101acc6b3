from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import run

from gtzan_lightning.results import defects, reproductions

RECIPES = Path(__file__).parents[2] / "experiments" / "recipes" / "reproductions"
SYSTEMS = {one.name: one for one in reproductions.systems(RECIPES)}
SONGS = [f"{genre}.{n:05d}" for genre in ("blues", "country") for n in range(20)]


def predictions(right, songs=SONGS, clips=2):
    """Every song has so many clips; of those named all are right, of the others the first."""
    rows = []
    for song in songs:
        genre = song.split(".")[0]
        for clip in range(clips):
            sure = 0.9 if song in right or clip == 0 else 0.05
            other = {"blues": "country", "country": "blues"}[genre]
            rows.append({"part": "test", "song": song, "artist": song, "start": float(clip),
                         "genre": genre, genre: np.log(sure), other: np.log(1 - sure)})  # fmt: skip
    return pd.DataFrame(rows)[["part", "song", "artist", "start", "genre", "blues", "country"]]


def ledger(*cells):
    """(system, form) -> runs, which are read as what stands beside."""
    kept = {f"run{n}": table for n, (_, _, table) in enumerate(cells)}
    runs = [
        run(f"run{n}", recipe=reproductions.key(RECIPES, SYSTEMS[name], form), model="m")
        for n, (name, form, _) in enumerate(cells)
    ]
    return pd.DataFrame(runs), kept.get


def test_a_defect_is_worth_what_the_run_without_it_gets_right_more():
    what = next(iter(SYSTEMS["bar_tov-slices"].defects))
    runs, read = ledger(
        ("bar_tov-slices", "as_published", predictions(SONGS[:10])),
        ("bar_tov-slices", what, predictions(SONGS[:30])),
    )
    lines = defects.markdown(runs, RECIPES, read).splitlines()
    (line,) = [line for line in lines if what in line and "`bar_tov-slices`" in line]
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    assert cells[2:4] == ["0.250", "0.750"]  # a song of one right clip of two is lost
    assert cells[4].startswith("+0.500 [+0.")
    assert cells[5] == "40"
    weightless = next(line for line in lines if "`navas-vgg16`" in line)
    assert "not run: needs ImageNet weights of VGG16" in weightless
    assert all(what in weightless for what in SYSTEMS["navas-vgg16"].defects)


def test_gains_of_a_vote_and_of_a_genre_left_out():
    of_nine = predictions(SONGS[:20], SONGS[:20])  # all blues are right, country is gone
    runs, read = ledger(
        ("bar_tov-slices", "as_published", predictions(SONGS[:10])),
        ("bar_tov-nine_genres", "as_published", of_nine),
    )
    lines = defects.gains(runs, RECIPES, read).splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]
    vote = next(row for row in rows if row[2] == "bar_tov-slices as_published")
    assert (vote[3], vote[4], vote[6]) == ("0.625", "0.250", "40")
    whole, same = rows[-2:]
    assert (whole[3], whole[4], whole[6]) == ("0.250", "1.000", "40, then 20")
    assert (same[3], same[4], same[6]) == ("0.500", "1.000", "20")


def test_the_interval_of_a_difference_covers_it():
    rng = np.random.default_rng(0)
    songs = pd.Index([f"s{n}" for n in range(200)])
    artists = pd.Series([f"a{n // 4}" for n in range(200)], index=songs)
    low = defects.Answers(pd.Series((rng.random(200) < 0.4).astype(float), songs), artists)
    high = defects.Answers(pd.Series((rng.random(200) < 0.7).astype(float), songs), artists)
    mean, ends = defects.difference(low, high).split(" [")
    first, last = map(float, ends.strip("]").split(", "))
    assert first < float(mean) < last
    assert first > 0
    assert defects.difference(low, low) == "+0.000 [+0.000, +0.000]"


@pytest.mark.parametrize("name", [name for name, one in SYSTEMS.items() if one.defects])
def test_a_defect_put_right_is_one_setting_or_two_away_from_what_was_published(name):
    from gtzan_lightning.recipe.command_line import parse_run
    from gtzan_lightning.recipe.identity import flat

    one = SYSTEMS[name]
    published = flat(parse_run(one.argv(RECIPES, "as_published"))[0])
    for what in one.defects:
        right = flat(parse_run(one.argv(RECIPES, what))[0])
        changed = [key for key in published if published[key] != right[key]]
        assert 1 <= len(changed) <= 2, what
        assert changed == [flag[2:] for flag in one.defects[what][::2]]


def test_a_system_on_another_feature_is_a_flag_away():
    mel, chroma = SYSTEMS["navas-resnet50"], SYSTEMS["navas-resnet50-chroma"]
    assert (chroma.score, chroma.system) == (0.016, "ResNet50 frozen, chroma")
    assert chroma.argv(RECIPES, "corrected")[:2] == mel.argv(RECIPES, "corrected")[:2]
    assert chroma.flags == ("--data.features", "chroma", "--data.range_db", "80")
    pairs = [one for one in SYSTEMS.values() if one.name.startswith("navas-") and one.score]
    of_tables = [one for one in pairs if "frozen" in one.system]
    assert len(of_tables) == 20  # four networks on five features
