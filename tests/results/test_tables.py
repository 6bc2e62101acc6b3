import re

import numpy as np
import pandas as pd
import pytest
from conftest import run

from gtzan_lightning.errors import UserError
from gtzan_lightning.results.html import html
from gtzan_lightning.results.latex import of_table
from gtzan_lightning.results.tables import choose, read_csv, table_of, tables

_ACCURACY = "final/test/song_accuracy"


def column(table, name, own=""):
    return [row.cells(own)[name] for row in table.rows]


def test_seeds_are_averaged_with_sd_and_interval_of_the_songs():
    accuracies = {"0": 0.5, "1": 0.6, "2": 0.7}
    runs = [
        run(f"a{s}", **{"seed": s, "final/test/song_accuracy": a}) for s, a in accuracies.items()
    ]
    (table,) = tables(pd.DataFrame(runs))
    assert column(table, "song accuracy") == ["0.600 ± 0.100"]
    assert column(table, "95 % interval") == ["0.543-0.655"]
    (row,) = table.rows
    assert row.n == 290  # the same songs three times are not 870 songs
    assert row.seeds == 3
    assert row.accuracy == pytest.approx(0.6)
    assert row.spread == pytest.approx(0.1)


def test_folds_test_different_songs():
    kfold = {"protocol": "kfold 5 seed 0", "final/test/songs": 200}
    runs = [run(f"f{f}", **kfold, **{"fold": f}) for f in "0123"]
    # three more seeds on one fold must not outweigh the others
    runs += [run(f"s{s}", **kfold, **{"fold": "0", "seed": s}) | {_ACCURACY: 0.2} for s in "12"]
    (table,) = tables(pd.DataFrame(runs))
    assert column(table, "n") == ["800"]
    assert column(table, "folds") == ["4/5"]
    # (1/3 + 3 * 0.6) / 4; one seed alone has run all folds, so there is no spread
    assert column(table, "song accuracy") == ["0.533"]


def test_a_song_of_a_small_fold_counts_as_much_as_another():
    kfold = {"protocol": "kfold 2 seed 0"}
    small = run("a", **kfold, **{"fold": "0", "final/test/songs": 10, _ACCURACY: 1.0})
    large = run("b", **kfold, **{"fold": "1", "final/test/songs": 30, _ACCURACY: 0.0})
    (table,) = tables(pd.DataFrame([small, large]))
    assert column(table, "song accuracy") == ["0.250"]


def test_a_repeated_run_counts_once():
    again = run("b", **{"final/test/song_accuracy": 0.9})
    (table,) = tables(pd.DataFrame([run("a"), again]))
    assert column(table, "song accuracy") == ["0.600"]
    assert column(table, "model") == ["small_cnn (1 repeated)"]


def test_runs_of_other_code_are_not_averaged():
    states = [("a", "False"), ("a", "True"), ("b", "False")]
    runs = pd.DataFrame([
        run(f"{commit}{dirty}", commit=commit * 40, dirty=dirty, seed=str(n))
        for n, (commit, dirty) in enumerate(states)
    ])  # fmt: skip
    (table,) = tables(runs)
    assert sorted(column(table, "commit")) == ["aaaaaaa", "aaaaaaa dirty", "bbbbbbb"]
    with pytest.raises(UserError, match="3 states of the code"):
        choose(runs, ["small_cnn"])


def test_a_number_format_is_another_row_of_the_same_recipe():
    runs = pd.DataFrame([
        run("a", precision="32-true"),
        run("b", precision="bf16-mixed", seed="1") | {_ACCURACY: 0.4},
    ])  # fmt: skip
    (table,) = tables(runs)
    assert column(table, "precision") == ["32-true", "bf16-mixed"]
    assert column(table, "song accuracy") == ["0.600", "0.400"]
    with pytest.raises(UserError, match=r"2 precisions \(32-true, bf16-mixed\)"):
        choose(runs, ["small_cnn"])


def test_each_part_has_a_table_and_every_table_says_the_leak():
    valid = {"final/valid/songs": 197, "final/valid/song_accuracy": 0.7, "parameters": 1000}
    leaks = {"leak_valid": "artists on both sides: 74 % of valid songs", "leak_test": "no artist"}
    closed = {name: float("nan") for name in run("a") if name.startswith("final/test")}
    runs = pd.DataFrame([
        run("opened1", **valid, **leaks),
        run("closed1", **{**closed, **valid, **leaks, "recipe": "r2", "valid/song_accuracy": 0.6}),
    ])  # fmt: skip
    of_valid, of_test = tables(runs)
    assert [row.runs for row in of_test.rows] == [("opened1",)]
    assert len(of_valid.rows) == 2
    assert sorted(column(of_valid, "last epoch")) == ["", "0.600"]  # the best one is 0.700
    for text in (of_valid.markdown(), of_valid.csv(), of_table(of_valid).replace("\\", "")):
        assert "artists on both sides: 74 % of valid songs" in text
    assert "no artist" in of_test.title
    assert table_of(runs, "opened1").part == "test"
    assert "artists on both sides: 74" in choose(runs, ["opened1", "closed1"]).context


def test_several_runs_are_pooled_from_their_predictions():
    """Two songs of one artist in two folds: F1 of all songs, an interval over seeds and artists."""

    def read(run_id):
        seed, fold = run_id
        right = {"0": [0.9, 0.9, 0.2, 0.9], "1": [0.9, 0.2, 0.2, 0.2]}[seed]
        rows = [
            ("test", f"s{fold}{n}", f"artist{n // 2}{fold}", 0.0, "jazz", np.log(p), np.log(1 - p))
            for n, p in enumerate(right)
        ]
        return pd.DataFrame(rows, columns=["part", "song", "artist", "start", "genre", "jazz", "x"])

    kfold = {"protocol": "kfold 2 seed 0", "final/test/songs": 4}
    runs = [
        run(f"{s}{f}", **kfold, seed=s, fold=f) | {_ACCURACY: a}
        for s, a in (("0", 0.75), ("1", 0.25)) for f in "01"
    ]  # fmt: skip
    ((row,),) = (table.rows for table in tables(pd.DataFrame(runs), read))
    assert (row.n, row.artists, row.accuracy) == (8, 4, 0.5)
    assert row.f1 == pytest.approx((6 / 7 + 2 / 5) / 2)  # of all songs of each seed
    assert row.low < row.wilson_low < 0.5 < row.wilson_high < row.high


def test_other_corpora_protocols_and_songs_have_tables_of_their_own():
    runs = [
        run("a"),
        run("b", **{"corpus": "synthetic"}),
        run("c", **{"protocol": "first20"}),
        run("d", **{"songs_fingerprint": "def"}),
    ]
    assert len(tables(pd.DataFrame(runs))) == 4


def test_leaky_unfinished_and_own_runs_are_marked_and_the_best_is_first():
    runs = [
        run("a", **{"recipe": "r1"}),
        run("b", **{"recipe": "r2", "final/test/song_accuracy": 0.8}),
        run("c", **{"recipe": "r3", "status": "KILLED"}),
        run("d", **{"recipe": "r4", "warning": "LEAKY PROTOCOL"}),
    ]
    table = table_of(pd.DataFrame(runs), "a")
    names = column(table, "model", own="a")
    assert column(table, "song accuracy")[0] == "0.800"
    assert "small_cnn <- this run" in names
    assert "small_cnn (1 unfinished)" in names
    assert "small_cnn LEAKY" in names
    assert "LEAKY PROTOCOL" in table.markdown()


def test_without_test_songs_the_validation_part_is_shown_and_called_optimistic():
    scores = {
        "final/test/songs": float("nan"),
        "final/valid/songs": 197,
        "final/valid/song_accuracy": 0.6,
    }
    (table,) = tables(pd.DataFrame([run("a", **scores)]))
    assert "valid part" in table.title
    assert "optimistic" in table.markdown()
    assert column(table, "n") == ["197"]
    assert column(table, "song accuracy") == ["0.600"]
    runs = [run("a", **scores), run("b", **scores, recipe="r2", model="vgg", kept="last epoch")]
    (both,), (last,) = (tables(pd.DataFrame(of)) for of in (runs, runs[1:]))
    assert 'optimistic (but for those with "last epoch", which kept that one)' in both.markdown()
    assert "| vgg, last epoch " in both.markdown()
    assert "optimistic" not in last.markdown()
    assert choose(pd.DataFrame(runs[1:]), ["vgg"]).context.count("best epochs") == 0
    assert choose(pd.DataFrame(runs[:1]), ["small_cnn"]).context.count("best epochs") == 1


def test_one_baseline_in_a_table_of_networks_takes_no_remark_away():
    valid = {"final/test/songs": float("nan"), "final/valid/songs": 197}
    valid |= {"final/valid/song_accuracy": 0.6}
    leaky = {"recipe": "r3", "warning": "LEAKY PROTOCOL"}
    runs = [run("a", **valid), run("b", **valid, recipe="r2", parameters=float("nan"))]
    (table,) = tables(pd.DataFrame([*runs, run("c", **valid, **leaky)]))
    assert "optimistic" in table.markdown()
    assert "LEAKY PROTOCOL" in table.remarks


def test_f1_and_auroc_are_means_over_the_seeds():
    runs = [
        run(f"a{s}", seed=s, **{"final/test/song_f1": f1, "final/test/song_auroc": f1 + 0.2})
        for s, f1 in {"0": 0.5, "1": 0.6, "2": 0.73}.items()
    ]
    (table,) = tables(pd.DataFrame(runs))
    assert column(table, "macro F1") == ["0.610"]
    assert column(table, "AUROC") == ["0.810"]


def test_a_run_that_did_not_end_gives_no_number():
    runs = [run("a"), run("b", status="KILLED", **{"seed": "1", _ACCURACY: 0.9})]
    (table,) = tables(pd.DataFrame(runs))
    (row,) = table.rows
    assert (row.accuracy, row.seeds, row.unfinished) == (0.6, 1, 1)


def test_a_table_comes_back_from_its_csv(tmp_path):
    runs = [
        run("a1", **{"features": "mel 128, 3 s"}),
        run("a2", **{"seed": "1", _ACCURACY: 0.7}),
        run("b", status="KILLED", **{"recipe": "r2", "parameters": float("nan")}),
        run("c", **{"recipe": "000123", "warning": 'LEAKY PROTOCOL: "clips", of all'}),
    ]
    (table,) = tables(pd.DataFrame(runs))
    file = tmp_path / "table.csv"
    file.write_text(table.csv())
    assert read_csv(file) == table
    numbers = pd.read_csv(file)
    assert list(numbers["accuracy"].dropna()) == pytest.approx([0.65, 0.6])
    assert list(numbers["parameters"].dropna()) == [1000, 1000]
    with pytest.raises(UserError, match="can't be read: No such file"):
        read_csv(tmp_path / "none.csv")
    text = table.csv()
    for bad in ("", "a,b\n1,2\n", text.replace("290", "many"), text[: text.rindex(",")]):
        file.write_text(bad)
        with pytest.raises(UserError, match=r"is no table that|cells, but 3"):
            read_csv(file)
    for bad in ("nan", "1.5", "-0.1"):
        file.write_text(text.replace("0.65", bad, 1))
        with pytest.raises(UserError, match=r"is no table that|line 3: a row has runs, and acc"):
            read_csv(file)


def test_no_runs_no_tables():
    assert tables(pd.DataFrame()) == []


def test_systems_are_chosen_by_model_recipe_name_or_id():
    runs = pd.DataFrame(
        [
            run("aaaaaa1", **{"name": "first"}),
            run("aaaaaa2", **{"seed": "1"}),
            run("bbbbbb1", **{"model": "resnet", "recipe": "r2"}),
            run("cccccc1", **{"model": "resnet", "recipe": "r3"}),
            run("dddddd1", status="FAILED", **{"model": "vgg"}),
            run("eeeeee1", **{"model": "bbnn", "corpus": "synthetic"}),
        ]
    )
    choice = choose(runs, ["small_cnn", "r2"])
    assert choice.table.part == "test"
    assert {word: list(r["run_id"]) for word, r in choice.runs.items()} == {
        "small_cnn": ["aaaaaa1", "aaaaaa2"],
        "r2": ["bbbbbb1"],
    }
    assert list(choose(runs, ["first", "cccccc"]).runs["first"]["run_id"]) == ["aaaaaa1"]
    for words, said in (
        (["small_cnn", "resnet"], "'resnet' means 2 recipes: give r2, r3"),
        (["small_cnn", "vgg"], "no finished run is meant by 'vgg'"),
        (["small_cnn", "bbnn"], "no table has all of small_cnn, bbnn"),
    ):
        with pytest.raises(UserError, match=said):
            choose(runs, words)


def test_of_a_run_that_was_repeated_the_newest_is_paired():
    again = pd.DataFrame([run("new"), run("old"), run("seed1", seed="1"), run("b", recipe="r2")])
    chosen = choose(again, ["r1", "r2"]).runs
    assert list(chosen["r1"]["run_id"]) == ["new", "seed1"]


def answers(part="test"):
    """Two songs of jazz and one of rock; the second song of jazz is predicted as rock."""
    rows = [("a", "jazz", 0.9), ("b", "jazz", 0.2), ("c", "rock", 0.1)]
    return pd.DataFrame(
        [{"part": part, "song": s, "start": 0.0, "genre": g, "jazz": np.log(p),
          "rock": np.log(1 - p)} for s, g, p in rows]
    )  # fmt: skip


def test_the_page_holds_everything_itself():
    runs = pd.DataFrame([run("a"), run("b<i>", **{"recipe": "r2", "model": "<b>net"})])
    made = page(tables(runs))
    assert not re.search(r"(src|href|url)\s*[=(]", made)  # nothing is fetched
    assert "<b>net" not in made
    assert "&lt;b&gt;net" in made
    assert made.count("<polyline") == 2
    assert made.count('class="matrix"') == 2
    # 0.60 of 290 songs: Wilson's 0.543 to 0.655 on an axis of 116 pixels
    assert 'x1="65.0" x2="78.0"' in made
    assert 'points="40.0,222.0 630.0,89.5 "' in made  # 0.2 and 0.7 from 275 up to 10
    one, half = (f'style="background:rgba(31,119,180,{share})"' for share in ("1.00", "0.50"))
    assert made.count(f"<td {half}>1</td><td {half}>1</td>") == 2  # of two songs of jazz
    assert made.count(f"<td {one}>1</td>") == 2
    assert 'data-value="1000">1,000</td>' in made  # sorted by the number, not by its text
    assert page([]).endswith("</html>\n")


def page(made, run_url=lambda run_id: None):
    history = [(1, 0.2), (2, 0.7)]
    return html(made, lambda run_id: answers(), lambda run_id: history, run_url, "mlflow <server>")


def test_a_run_on_the_page_opens_or_says_what_would_open_it():
    made = tables(pd.DataFrame([run("0123456789abcdef"), run("b", recipe="r2")]))
    text = page(made)
    assert '<code title="0123456789abcdef: mlflow &lt;server&gt;">01234567</code>' in text
    text = page(made, lambda run_id: f"http://host/#/runs/{run_id}")
    assert '<a href="http://host/#/runs/0123456789abcdef">01234567</a>' in text
