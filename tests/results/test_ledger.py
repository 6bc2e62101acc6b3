from pathlib import Path

import pandas as pd
import pytest
from conftest import run

from gtzan_lightning.commands import results
from gtzan_lightning.errors import UserError
from gtzan_lightning.results import ledger
from gtzan_lightning.results.headline import headline, measured
from gtzan_lightning.results.tables import tables

ROOT = Path(__file__).parents[2]
CLEAN = {"commit": "a" * 40, "dirty": "false", "leak_test": "no artist", "leak_valid": "no artist"}
PREDICTIONS = pd.DataFrame({
    "part": ["train", "valid", "test"], "song": ["a", "b", "c"], "artist": ["x", "", "z"],
    "start": 0.0, "genre": ["rock", "pop", "rock"], "pop": -0.126928011, "rock": -2.126928011,
})  # fmt: skip


def series(run_id="0123456789", **over):
    return pd.Series(run(run_id, **{**CLEAN, "precision": "", "date": "2026-11-24", **over}))


def add(file, *runs):
    lines = {row["run_id"]: ledger.line(row, "s", "corrected") for row in runs}
    return ledger.add(file, lines, lambda run_id: PREDICTIONS)


@pytest.mark.parametrize(
    ("over", "words"),
    [
        ({"status": "RUNNING"}, r"has not finished \(RUNNING\)"),
        ({"dirty": "true"}, "no commit has"),
        ({"commit": ""}, "no commit has"),
        ({"leak_test": float("nan")}, "did not record what its songs share"),
        ({"leak_test": "artists on both sides: 80 % of test songs, songs: 4 of 72"}, "is leaky"),
    ],
)
def test_runs_that_may_have_no_line(over, words):
    ledger.check(series())
    with pytest.raises(UserError, match=words):
        ledger.check(series(**over))


def test_a_leak_that_is_marked_may_have_a_line():
    leak = "artists on both sides: 80 % of test songs, songs: 4 of 72"
    ledger.check(series(leak_test=leak, warning="LEAKY PROTOCOL"))


def test_lines_come_back_as_runs_with_their_predictions(tmp_path):
    file = tmp_path / "results.csv"
    add(file, series(epoch=19.0))
    (line,) = ledger.read(file).to_dict("records")
    assert (line["run_id"], line["status"], line["part"]) == ("0123456789", "FINISHED", "test")
    assert (line["n"], line["epochs"], line["commit"]) == (290, 20, "aaaaaaa")
    (table,) = tables(ledger.read(file), ledger.reader(file))
    assert (table.part, table.rows[0].accuracy, table.rows[0].seeds) == ("test", 0.6, 1)
    kept = ledger.reader(file)("0123456789")
    assert list(kept["part"]) == ["valid", "test"]  # the training part is large, and no result
    assert list(kept["artist"]) == ["", "z"]
    assert ledger.reader(file)("another") is None


def test_lines_say_anew_what_their_recipes_measure_when_recipes_have_changed(tmp_path):
    file = tmp_path / "results.csv"
    add(file, series("a" * 32), series("b" * 32, recipe="r2"))
    measures = {"r1": ("s", "corrected"), "r2": ("s t", "corrected own")}
    assert ledger.name_anew(file, measures) == 1
    lines = ledger.read(file).set_index("recipe")[["system", "form"]]  # the digests fit, too
    assert list(lines.loc["r2"]) == ["s t", "corrected own"]
    assert ledger.name_anew(file, measures) == 0
    assert ledger.name_anew(file, {}) == 2
    assert set(ledger.read(file)["form"]) == {""}
    empty = tmp_path / "empty.csv"
    empty.write_text(file.read_text().splitlines()[0] + "\n")
    assert ledger.name_anew(empty, measures) == 0


def test_counts_are_kept_to_their_last_digit_and_tables_name_the_device(tmp_path):
    file = tmp_path / "results.csv"
    add(file, series(parameters=15_762_770.0, machine="Linux x86_64, 16 cores, NVIDIA H100"))
    assert ledger.read(file)["parameters"].iloc[0] == 15_762_770
    (table,) = tables(ledger.read(file), ledger.reader(file))
    assert table.rows[0].cells()["device"] == "NVIDIA H100"
    assert tables(pd.DataFrame([run("a")]))[0].rows[0].device == ""


def test_a_run_that_was_made_again_takes_the_line_of_the_first(tmp_path):
    file = tmp_path / "results.csv"
    add(file, series("first"), series("seed1", seed="1"))
    assert add(file, series("second", **{"final/test/song_accuracy": 0.7})) == ["first"]
    assert sorted(ledger.read(file)["run_id"]) == ["second", "seed1"]
    kept = sorted(f.name for f in (tmp_path / "results").iterdir())
    assert kept == ["second.csv.gz", "seed1.csv.gz"]
    assert add(file, series("bf16", precision="bf16-mixed")) == []
    before = file.read_bytes()
    assert add(file, series("bf16", precision="bf16-mixed")) == []
    assert file.read_bytes() == before


def test_a_run_without_predictions_changes_nothing(tmp_path):
    file = tmp_path / "results.csv"
    add(file, series())
    before = file.read_bytes()
    lines = {"b": ledger.line(series("b"), "", "")}
    with pytest.raises(UserError, match=r"run b has no predictions\.csv"):
        ledger.add(file, lines, lambda run_id: None)
    assert file.read_bytes() == before


def test_what_was_changed_by_hand_or_by_a_bit_is_named(tmp_path):
    file, answers = tmp_path / "results.csv", tmp_path / "results" / "second.csv.gz"
    runs = [series("first"), series("second", seed="1")]
    add(file, *runs)
    text, content = file.read_text(), answers.read_bytes()
    for changed, words in (
        (text.replace("0.6", "0.9", 1), "the line first is not as 'results.py add' wrote it"),
        ("\n".join(text.splitlines()[:2]) + "\n", "the line second is gone"),
    ):
        file.write_text(changed)
        with pytest.raises(UserError, match=f"{words}, by results.sha256: .*'results.py add"):
            ledger.read(file)
        with pytest.raises(UserError, match=words):  # not made right by another run
            add(file, series("third", seed="2"))
        add(file, *runs)
        assert file.read_text() == text
    for bit in (0, 100, 8 * len(content) - 1):
        flipped = bytearray(content)
        flipped[bit // 8] ^= 1 << bit % 8
        answers.write_bytes(flipped)
        with pytest.raises(UserError, match=r"results/second\.csv\.gz is not as .*add second'"):
            ledger.read(file)
    answers.unlink()
    with pytest.raises(UserError, match=r"second\.csv\.gz is gone"):
        ledger.read(file)
    add(file, series("another", seed="1"))  # takes its place
    assert sorted(ledger.read(file)["run_id"]) == ["another", "first"]


def test_a_file_that_is_no_ledger_is_named(tmp_path):
    with pytest.raises(UserError, match=r"ledger .* can't be read: No such file"):
        ledger.read(tmp_path / "none.csv")
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    for use in (ledger.read, lambda file: add(file, series())):
        with pytest.raises(UserError, match="there is no column 'run_id'"):
            use(tmp_path / "other.csv")


def test_the_headline_has_test_and_valid_scores_of_a_recipe_in_one_line():
    valid = {"final/test/songs": float("nan"), "final/test/song_accuracy": float("nan")}
    valid |= {"final/valid/songs": 197, "final/valid/song_accuracy": 0.7}
    heard = {"features": "kaldi 128, 10 s; heard AudioSet"}
    low = {**valid, "final/valid/song_accuracy": 0.5, "recipe": "r2", "model": "svm"}
    other = {**valid, "final/valid/song_accuracy": 0.9, "recipe": "r3"}  # without a test score
    runs = [run("a", songs_fingerprint="all"), run("b", **valid), run("c", **low, **heard)]
    runs.append(run("d", **other))
    lines = headline(tables(pd.DataFrame(runs))).splitlines()
    titles, _, first, second = ([cell.strip() for cell in line.split("|")] for line in lines)
    assert titles[2:6] == ["learnt before from", "features", "test, n = 290", "valid, n = 197"]
    assert first[1:3] == ["small_cnn", "nothing"]
    assert first[4].startswith("0.600 [")
    assert first[5].startswith("0.700 [")
    assert first[5].endswith("*")  # artists are unknown
    assert second[1:5] == ["svm", "AudioSet", "kaldi 128, 10 s", ""]
    kept = run("e", **valid, kept="last epoch", recipe="r4")
    both = headline(tables(pd.DataFrame([*runs, kept])))
    assert "| small_cnn " in both
    assert "| small_cnn, last epoch " in both
    runs[0]["tuned_on"] = "filtered, valid"
    last = headline(tables(pd.DataFrame(runs))).splitlines()[-1]
    assert last == "Settings chosen on filtered, valid: small_cnn."


def test_the_header_of_a_recipe_says_what_its_runs_scored():
    valid = {"final/test/songs": float("nan"), "final/test/song_accuracy": float("nan")}
    valid |= {"final/valid/songs": 197, "final/valid/song_accuracy": 0.7}
    runs = pd.DataFrame([run("a", precision="bf16-mixed", machine="Linux, 2 cores, cpu", **valid)])
    (first, second) = measured(tables(runs), "r1")
    assert first.startswith(
        "# Measured on the valid part of filtered, gtzan, n = 197: song accuracy"
    )
    assert f"{first} {second[2:]}".endswith(
        "0.700 [0.633, 0.760]* (1 seed, bf16-mixed, 2.0 minutes on cpu; best epoch chosen on these "
        "songs)."
    )
    assert measured(tables(runs), "r2") == ["# Not measured yet."]
    last = " ".join(measured(tables(runs.assign(kept="last epoch")), "r1"))
    assert last.endswith("2.0 minutes on cpu).")


def test_a_page_with_an_unknown_block_is_named(tmp_path):
    add(tmp_path / results.LEDGER, series())
    (tmp_path / results.RECIPES).mkdir(parents=True)
    (tmp_path / results.RECIPES / "systems.yaml").write_text("[]\n")
    (tmp_path / "README.md").write_text("<!-- results: nonsense -->\n<!-- /results -->\n")
    with pytest.raises(UserError, match=r"README\.md: there is no block 'nonsense', only headline"):
        results.pages(tmp_path)


def test_what_results_can_not_do_is_said_in_one_line(tmp_path, monkeypatch):
    began = pd.Timestamp("2026-11-27", tz="UTC")
    two = [series(f"aaaaaaa{n}", name=f"x{n}", began=began) for n in (1, 2)]
    two = pd.DataFrame(two)
    monkeypatch.setattr("gtzan_lightning.tracking.reading.runs_table", lambda track: two)
    for words, message in (
        (["add"], "give the runs to add"),
        (["tables", "x"], "takes no run"),
        (["add", "zzz"], "no run is meant by 'zzz'"),
        (["add", "aaaaaaa"], "means 2 runs, give more of the id"),
    ):
        with pytest.raises(UserError, match=message):
            results.main([*words, "--root", str(ROOT)])
    monkeypatch.setattr("gtzan_lightning.tracking.reading.runs_table", lambda track: pd.DataFrame())
    with pytest.raises(UserError, match="there are no runs yet"):
        results.main(["add", "x", "--root", str(ROOT)])
    with pytest.raises(UserError, match="is no checkout"):
        results.main(["tables", "--root", str(tmp_path)])
