"""Trials of minutes: --quick, and what a run without music is."""

import pytest

from gtzan_lightning.commands import run as run_command
from gtzan_lightning.errors import UserError
from gtzan_lightning.results.ledger import check
from gtzan_lightning.tracking.finding import run_id
from gtzan_lightning.tracking.reading import predictions_if_any, runs_table
from gtzan_lightning.training.report import result_lines
from gtzan_lightning.training.train import Outcome, train


def test_a_quick_run_is_marked_wherever_its_scores_go(quick, capsys):
    recipe = quick("--quick", "--fit.max_epochs", "1")
    outcome = train(recipe)
    assert (outcome.folder / "QUICK_predictions.csv").exists()
    assert "WARNING: QUICK" in capsys.readouterr().out
    text = result_lines(recipe, outcome.run_id, outcome.scores)
    assert "small_cnn QUICK" in text
    run = runs_table(recipe.track).iloc[0]
    assert run["name"].endswith("-QUICK")
    assert not predictions_if_any(outcome.run_id, recipe.track).empty
    with pytest.raises(UserError, match="was quick, which is no measurement"):
        check(run)
    assert run_id("best", recipe.track) == outcome.run_id  # there is no other
    assert " QUICK: valid 0." in capsys.readouterr().err


def test_without_music_a_run_is_a_quick_trial_unless_it_is_chosen(monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    seen = []
    monkeypatch.setattr(
        "gtzan_lightning.training.train.train",
        lambda recipe, resume: seen.append(recipe) or Outcome("x", tmp_path, {}),
    )
    run_command.main(["--model", "efficientnet"])
    first, second = capsys.readouterr().out.splitlines()[:2]
    assert "GTZAN WAS NOT FOUND" in first
    assert "quick trial" in second
    run_command.main(["--model", "efficientnet", "--fit.max_epochs", "3"])
    run_command.main(["--model", "efficientnet", "--data.corpus", "synthetic"])
    assert [recipe.quick for recipe in seen] == [True, False, False]
