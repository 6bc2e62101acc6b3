import re
import resource
import runpy
import shlex
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import torch
import yaml
from conftest import run

from gtzan_lightning.errors import UserError
from gtzan_lightning.models import MODELS, network_class
from gtzan_lightning.recipe.command_line import parse_run
from gtzan_lightning.recipe.identity import recipe_key
from gtzan_lightning.recipe.recipes import build_recipe, dump
from gtzan_lightning.results import reproductions
from gtzan_lightning.results.intervals import wilson
from gtzan_lightning.tracking import reading as store

ROOT = Path(__file__).parents[2]
SCRIPT = str(ROOT / "experiments" / "reproduce.py")
RECIPES = ROOT / "experiments" / "recipes" / "reproductions"
FILES = sorted(RECIPES.glob("*-*.yaml"))
SYSTEMS = reproductions.systems(RECIPES)
NAMES = [system.name for system in SYSTEMS if not system.recipe]
_ACCURACY, _SONGS = "final/test/song_accuracy", "final/test/songs"


def recipe(name, *flags):
    return parse_run(["--config", str(RECIPES / f"{name}.yaml"), *flags])[0]


def key(name, form):
    return reproductions.key(RECIPES, next(one for one in SYSTEMS if one.name == name), form)


def cell(*runs):
    return reproductions.cell(pd.DataFrame(runs), "r1", {"clip_accuracy": "single clips"})


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_recipe_is_a_short_delta_under_its_command(file):
    lines = file.read_text().splitlines()
    place = file.relative_to(ROOT)
    assert lines[0] == f"# python experiments/run.py --config {place}"
    first = next(n for n, line in enumerate(lines) if not line.startswith("#"))
    assert 2 <= first <= 5
    assert max(map(len, lines[1:])) <= 100
    assert len([line for line in lines if line and line[0] != "#"]) <= 20
    built = recipe(file.stem)
    again = [("again", yaml.safe_load(dump(built)))]
    assert build_recipe(built.model.name, again, {}) == built


def test_every_system_has_its_two_recipes_and_every_recipe_its_system():
    used = {Path(one.argv(RECIPES, form)[1]) for one in SYSTEMS for form in reproductions.OURS}
    assert sorted(used) == FILES
    assert len(set(NAMES)) == len(NAMES)


def test_published_intervals_are_wilson_of_a_share_of_n():
    pattern = r"(\d\.\d+) \[(\d\.\d+), (\d\.\d+)\], n = (\d+)"
    text = "; ".join(system.published for system in reproductions.systems(RECIPES))
    found = re.findall(pattern, text)
    assert len(found) == text.count(", n = ") > 15
    for share, low, high, n in found:
        hits = round(float(share) * int(n))
        assert hits / int(n) == pytest.approx(float(share), abs=6e-4)
        assert wilson(hits / int(n), int(n)) == pytest.approx((float(low), float(high)), abs=6e-4)


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("basak-cnn", 15_762_770),
        ("basak-cnn_lstm", 27_013_436 + 6_000),  # PyTorch's LSTMs have a second bias
        ("basak-bbnn", 191_402 - 5_184),  # Keras counts moving statistics
        ("bar_tov-two_conv", 122_008_202),
        ("bar_tov-final", 6_537_482),
        ("zhang-cnn", 51_479_114),
        ("zhang-bigru", 4_272_394),
        ("zhang-res_bigru", 12_874_314),
    ],
)
def test_recipes_as_published_build_the_published_networks(name, count):
    built = recipe(f"{name}-as_published")
    fields = type(built.model).model_fields
    off = {"pretrained": False} if "pretrained" in fields else {}
    assert built.data.colour
    with torch.device("meta"):
        network = network_class(built.model.name)(
            built.model.model_copy(update=off), 10, (3, *built.data.picture_size)
        )
    assert sum(p.numel() for p in network.parameters()) == count


@pytest.mark.parametrize("name", NAMES)
def test_what_is_as_published_lies_over_plain_defaults(name):
    """Nothing of a model's own recipe, which may have been tuned, and nothing of our own making."""
    file = RECIPES / f"{name}-as_published.yaml"
    values = yaml.safe_load(file.read_text())
    assert values.pop("base") == "plain"
    built = recipe(file.stem)
    assert build_recipe(built.model.name, [("alone", values)], {}) == built
    assert not built.tuned_on
    assert built.fit.average_epochs == 0
    assert built.augment.warp == built.augment.equaliser == 0
    if built.model.name in MODELS and name.split("-")[0] not in ("motyka", "navas"):
        assert built.augment.audio == built.augment.spectrogram == 0


@pytest.mark.parametrize("name", NAMES)
def test_corrected_recipes_have_no_defect(name):
    """Own validation songs, ten genres, no leak, no scrambled axes, no foreign colours."""
    built = recipe(f"{name}-corrected")
    assert built.data.split in ("stratified", "first20")
    assert not built.data.leave_out
    assert (built.data.colour, built.data.picture_size) == (None, None)
    assert built.data.windows == "random"
    assert built.fit.limit_train_batches is None
    model = built.model.model_dump()
    right = {"as_coded": False, "axis": "time", "leaky_id": False, "preprocessing": "expected"}
    assert {k: model[k] for k in right if k in model} == {k: right[k] for k in right if k in model}
    assert recipe(f"{name}-corrected", "--data.split", "filtered").data.split == "filtered"


def test_whole_songs_fit_gtzans_shortest():
    whole = [r for r in (recipe(file.stem) for file in FILES) if r.data.clip_seconds > 10]
    assert len(whole) > 15
    for built in whole:
        assert built.data.clip_seconds < 29.93  # seconds of the shortest
        assert built.data.synthetic_seconds >= built.data.clip_seconds
        assert built.data.clips_per_song == 1


def test_a_recipe_is_found_on_any_corpus_and_seed():
    flags = ("--data.corpus", "pictures", "--data.root", "elsewhere", "--seed", "3")
    here = key("basak-cnn", "corrected")
    assert recipe_key(recipe("basak-cnn-corrected", *flags)) == here
    assert len({here, key("basak-cnn", "as_published"), key("basak-cnn", "artist-clean")}) == 3


def test_seeds_are_averaged_and_counted():
    runs = [
        run(f"a{s}", **{"seed": s, _ACCURACY: a}) for s, a in {"0": 0.5, "1": 0.6, "2": 0.7}.items()
    ]
    found = cell(*runs, run("b", **{"recipe": "r2", _ACCURACY: 0.9}))
    assert found == "0.600 ± 0.100 [0.543, 0.655], n = 290, 3 seeds, gtzan abc"


def test_every_corpus_has_its_line():
    own = {_SONGS: float("nan"), _ACCURACY: float("nan")}
    own |= {"final/valid/songs": 197, "final/valid/song_accuracy": 0.6}
    pictures = run("b", **{"corpus": "gtzan-pictures", "songs_fingerprint": "d"}, **own)
    first, second = cell(run("a"), pictures).split("<br>")
    assert first == "0.600 [0.543, 0.655], n = 290, 1 seed, gtzan abc"
    assert second.endswith("n = 197, 1 seed, gtzan-pictures d, *valid*")


def test_leaky_runs_are_marked_and_only_ended_ones_count():
    assert cell(run("a", **{"warning": "LEAKY FEATURE"})).endswith("gtzan abc, **LEAKY**")
    stopped = run("b", status="KILLED", **{"seed": "1", _ACCURACY: 0.9})
    assert cell(run("a"), stopped) == cell(run("a"))
    assert cell(stopped) == ""
    assert cell(run("a", **{"recipe": "r2"})) == ""
    assert reproductions.cell(pd.DataFrame(), "r1", {}) == ""


def test_table_has_a_row_for_each_system_and_scores_in_their_column_only():
    runs = pd.DataFrame([run("a", recipe=key("basak-cnn", "artist-clean"))])
    text = reproductions.markdown(runs, RECIPES)
    rows = [line.strip("|").split("|") for line in text.splitlines() if line.startswith("|")]
    assert {len(row) for row in rows} == {3 + len(reproductions.OURS)}
    assert len(rows) == len(SYSTEMS) + 2
    filled = [row for row in rows[2:] if "".join(row[3:]).strip()]
    assert len(filled) == 1
    assert "`basak-cnn`" in filled[0][0]
    assert [bool(c.strip()) for c in filled[0][3:]] == [False, False, True]


def test_an_empty_cell_says_why_where_it_is_asked_and_all_of_them_are_listed():
    run_of = run("a", recipe=key("basak-cnn", "corrected"))
    runs = pd.DataFrame([run_of])
    assert "not run" not in reproductions.markdown(runs, RECIPES)
    reasons = sum(len(one.empty) for one in SYSTEMS)
    assert reproductions.markdown(runs, RECIPES, why=True).count("*not run: ") == reasons > 30
    first, _, *lines = reproductions.unfilled(runs, RECIPES).splitlines()
    assert first.startswith(f"1 of {3 * len(SYSTEMS)} cells")
    listed = sum(int(re.search(r"\((\d+)\): ", line)[1]) for line in lines)
    assert listed == 3 * len(SYSTEMS) - 1
    assert "basak-cnn corrected" not in "".join(lines)


def test_published_figures_stand_beside_those_of_the_same_metric():
    scores = {"final/test/clip_accuracy": 0.5, "final/test/song_accuracy_low": 0.5}
    runs = pd.DataFrame([
        run("a", recipe=key("basak-cnn", "corrected")),
        run("b", recipe=key("zhang-knn", "as_published"), **scores),
    ])  # fmt: skip
    found = reproductions.points(runs, RECIPES)
    assert set(found) == {"basak-cnn", "zhang-knn"}
    assert found["basak-cnn"]["published"] == (0.76, 0.76, 0.76)
    assert found["basak-cnn"]["corrected"] == pytest.approx((0.6, 0.543, 0.655), abs=1e-3)
    assert found["zhang-knn"]["as_published"] == (0.5, 0.5, 0.5)


def test_a_system_that_flags_make_of_another_shows_only_what_differs():
    both = [run("a", recipe=key("basak-svm", "corrected"))]
    assert set(reproductions.points(pd.DataFrame(both), RECIPES)) == {"basak-svm"}
    both.append(run("b", recipe=key("basak-svm-hop512", "as_published")))
    found = reproductions.points(pd.DataFrame(both), RECIPES)
    assert set(found["basak-svm"]) == {"published", "corrected"}
    assert set(found["basak-svm-hop512"]) == {"as_published"}


def test_script_lists_commands_at_once():
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, SCRIPT, "--list"], capture_output=True, text=True, cwd=ROOT
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 1
    place = RECIPES.relative_to(ROOT)
    assert place == Path("experiments/recipes/reproductions")
    commands = done.stdout.splitlines()
    given = [shlex.split(line)[2:] for line in commands]
    assert given == reproductions.every(place)
    assert len(commands) == sum(len(one.forms) for one in SYSTEMS) > 200


def test_script_lists_the_empty_cells_with_the_flags_that_hold_for_all(monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    main = runpy.run_path(SCRIPT)["main"]
    main(["--missing", "--list", "--ledger", ".", "--only", "zhang", "--data.corpus", "pictures"])
    listed = capsys.readouterr().out.splitlines()
    assert all(line.endswith(" --data.corpus pictures") and "zhang" in line for line in listed)
    assert not any("zhang-knn-as_published.yaml --data.corpus" in line for line in listed)
    assert any("zhang-knn-as_published.yaml --data.features stft" in line for line in listed)


def test_script_writes_the_table_and_complains_in_one_line(tmp_path, monkeypatch, capsys):
    main = runpy.run_path(SCRIPT)["main"]
    monkeypatch.setattr(store, "runs_table", lambda track: pd.DataFrame())
    out = tmp_path / "docs" / "reproductions.md"
    main(["--out", str(out)])
    assert out.read_text() == capsys.readouterr().out
    assert [file.name for file in out.parent.iterdir()] == ["reproductions.md"]
    for flags, words in (
        (["--lst"], "did you mean '--list'"),
        (["--out", str(tmp_path)], "is a folder"),
        (["--out", str(out / "x")], "can't be written"),
    ):
        with pytest.raises(UserError, match=words) as caught:
            main(flags)
        assert "\n" not in str(caught.value)


def test_what_a_source_reported_stands_in_the_cell():
    assert "single clips 0.512, n = 290" in cell(run("a", **{"final/test/clip_accuracy": 0.512}))
    assert "single clips" not in cell(run("a"))
    assert set(reproductions.PUBLISHED) == {name.split("-")[0] for name in NAMES}


def test_missing_cells_are_those_without_a_run_and_the_cheap_ones_come_first():
    every = reproductions.missing(pd.DataFrame(), RECIPES)
    names = [Path(argv[1]).stem for argv in every]
    classical = [n for n, name in enumerate(names) if re.search("knn|svm|regression", name)]
    assert classical == list(range(len(classical)))
    done = run("a", recipe=key("zhang-knn", "as_published"))
    left = reproductions.missing(pd.DataFrame([done]), RECIPES)
    gone = [argv for argv in every if argv not in left]
    assert [Path(argv[1]).stem for argv in gone] == ["zhang-knn-as_published"]


@pytest.mark.parametrize("text", ["3", "- 3", "- {a: 1}", "- {name: a, defects: 3}", "a: &b 1"])
def test_a_list_of_systems_that_is_none_is_one_line(tmp_path, text):
    (tmp_path / "systems.yaml").write_text(text)
    with pytest.raises(UserError, match=r"systems\.yaml"):
        reproductions.systems(tmp_path)
