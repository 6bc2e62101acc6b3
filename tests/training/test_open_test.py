"""The test part: closed until it is asked for, and each opening counted."""

import mlflow
import pandas as pd
import pytest
from conftest import quick_flags

from gtzan_lightning.commands import compare, explain, sweep
from gtzan_lightning.errors import UserError
from gtzan_lightning.inference.tagger import Tagger
from gtzan_lightning.recipe.command_line import parse_run
from gtzan_lightning.recipe.recipes import stored_recipe
from gtzan_lightning.tracking.reading import openings, runs_table, store_uri
from gtzan_lightning.training.report import result_lines
from gtzan_lightning.training.train import train


@pytest.fixture(scope="module")
def closed(tmp_path_factory, packed):
    """A complete run that kept its test part closed."""
    folder = tmp_path_factory.mktemp("closed")
    recipe, _ = parse_run([*quick_flags(packed, folder), "--fit.max_epochs", "1"])
    return recipe, train(recipe)


def resumed(run_id, recipe):
    return parse_run(["--resume", run_id, "--open-test", "--track.folder", recipe.track.folder])


def test_a_complete_run_opens_its_test_part_later_without_training_again(closed, capsys):
    recipe, outcome = closed
    assert not any(name.startswith("final/test") for name in outcome.scores)
    text = result_lines(recipe, outcome.run_id, outcome.scores)
    assert f"open it with --resume {outcome.run_id} --open-test\n" in text
    assert openings(recipe.track).empty

    best = (outcome.folder / "best.ckpt").read_bytes()
    again = train(*resumed(outcome.run_id, recipe))
    assert (again.folder / "best.ckpt").read_bytes() == best
    for name, value in outcome.scores.items():
        if name.startswith("final/valid"):
            assert again.scores[name] == value
    assert again.scores["final/test/songs"] == 10
    (run,) = runs_table(recipe.track).to_dict("records")
    assert (run["status"], run["test_openings"]) == ("FINISHED", 1)
    assert "stays closed" not in result_lines(resumed_recipe(recipe), again.run_id, again.scores)
    with pytest.raises(UserError, match="complete"):  # it is open: nothing is left to do
        resumed(outcome.run_id, recipe)


def resumed_recipe(recipe):
    fit = recipe.fit.model_copy(update={"open_test": True})
    return recipe.model_copy(update={"fit": fit})


def test_the_ledger_outlives_its_runs_and_counts_in_the_table(quick, capsys):
    flags = ["--fit.max_epochs", "1", "--track.log_model", "false", "--open-test"]
    recipe = quick(*flags)
    gone = train(recipe)
    mlflow.MlflowClient(store_uri(recipe.track)).delete_run(gone.run_id)
    for rate in ("0.002", "0.004"):
        train(quick(*flags, "--fit.learning_rate", rate))
    ledger = openings(recipe.track)
    assert list(ledger["model"]) == ["small_cnn"] * 3
    assert ledger["recipe"].nunique() == 3
    assert gone.run_id in set(ledger["run"])
    compare.main(["--track.folder", recipe.track.folder])
    of_valid, of_test = capsys.readouterr().out.split("###")[1:]
    header, _, first, *_ = [line.split("|") for line in of_test.splitlines() if "|" in line]
    assert first[[cell.strip() for cell in header].index("test opened")].strip() == "3"
    assert "3 recipes were measured on these test songs; were the 2 rows equally good" in of_test
    assert "recipes were measured" not in of_valid


def test_explaining_test_songs_is_an_opening(closed, tmp_path, capsys):
    recipe, outcome = closed
    run = ["--run", outcome.run_id, "--track.folder", recipe.track.folder]
    run += ["--out", str(tmp_path), "--method", "saliency"]
    songs = pd.read_csv(outcome.folder / "songs.csv").set_index("song")["part"]
    tested = songs.index[songs == "test"][0]
    before = len(openings(recipe.track))
    explain.main([*run, "--genres", "jazz"])
    shown = capsys.readouterr().out.split(":")[0]
    assert songs[shown] == "valid"
    with pytest.raises(UserError, match="the test part is closed"):
        explain.main([*run, "--song", tested])
    assert len(openings(recipe.track)) == before
    explain.main([*run, "--song", tested, "--open-test"])
    assert len(openings(recipe.track)) == before + 1
    assert runs_table(recipe.track)["test_openings"].iloc[0] == before + 1


def test_a_sweep_takes_no_open_test_part():
    with pytest.raises(UserError, match="a sweep never opens the test part"):
        sweep.main(["--model", "small_cnn", "--space", "any.yaml", "--open-test"])


def test_recipes_of_before_say_whether_they_tested(closed):
    _, outcome = closed
    values = Tagger.load(str(outcome.folder / "best.ckpt")).recipe.model_dump(mode="json")
    del values["fit"]["open_test"]
    for tested in (True, False):
        old = {**values, "fit": {**values["fit"], "test": tested}}
        assert stored_recipe(old).fit.open_test is tested
