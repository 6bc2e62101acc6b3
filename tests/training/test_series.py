"""Several runs of one recipe: seeds and folds, kept where they are finished."""

import pytest
from conftest import quick_flags

from gtzan_lightning.commands import compare, run
from gtzan_lightning.errors import UserError
from gtzan_lightning.recipe.command_line import parse_series
from gtzan_lightning.tracking.reading import runs_table
from gtzan_lightning.training import series as module
from gtzan_lightning.training.report import run_name
from gtzan_lightning.training.series import members, own_share, run_series

FOLDS = ["--data.split", "kfold", "--data.folds", "3"]


@pytest.fixture
def flags(packed, tmp_path):
    more = ["--data.features", "mfcc", "--model.summary", "mean", *FOLDS]
    return [*quick_flags(packed, tmp_path, "knn"), "--model.neighbours", "3", *more]


def test_a_series_keeps_what_is_finished_and_resumes_the_rest(flags, capsys, monkeypatch):
    first = parse_series([*flags, "--seeds", "0", "1", "--folds", "0", "1"])
    done = run_series(first.recipes)
    assert len(done) == 4
    said = capsys.readouterr().out.splitlines()
    about_songs = [line for line in said if not line.startswith(("run ", "epoch "))]
    assert len(about_songs) == len(set(about_songs))  # once for all runs
    more = parse_series([*flags, "--seeds", "0", "1", "--folds", "all"])
    trained: list[str] = []
    real = module.train
    monkeypatch.setattr(module, "train", lambda *a, **k: trained.append(a[0].seed) or real(*a, **k))
    assert set(done) < set(run_series(more.recipes))
    assert trained == [0, 1]  # the third fold of each seed
    other = parse_series([*flags, "--seeds", "0", "--folds", "0", "--model.neighbours", "4"])
    assert not set(run_series(other.recipes)) & set(done)


def test_names_tell_runs_apart(flags):
    own = parse_series([*flags, "--data.fold", "2", "--seed", "1"]).recipe
    (member,) = members([own])
    assert run_name(own, member.data) == "knn-synthetic-kfold-seed1-fold2"
    named = parse_series([*flags, "--track.name", "mine", "--seeds", "0", "1", "--folds", "0", "1"])
    names = [recipe.track.name for recipe in named.recipes]
    assert names == [f"mine-seed{seed}-fold{fold}" for seed in (0, 1) for fold in (0, 1)]
    (alone,) = parse_series([*flags, "--track.name", "mine", "--seeds", "1"]).recipes
    assert alone.track.name == "mine"


def test_one_row_at_the_end_and_test_parts_opened_later(flags, capsys):
    run.main([*flags, "--folds", "all"])
    table = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| knn")]
    assert len(table) == 1
    assert "| 3/3 " in table[0]
    run.main([*flags, "--folds", "all", "--open-test"])
    said = capsys.readouterr().out
    assert said.count("whose test part is opened") == 3
    runs = runs_table(parse_series(flags).recipe.track)
    assert len(runs) == 3
    assert list(runs["test_openings"]) == [1, 1, 1]
    assert sum(runs["final/test/songs"]) == 60  # every song once
    store = flags[flags.index("--track.folder") :][:2]
    compare.main([*store, "--folds", "0", "2"])
    assert "| 2/3 " in capsys.readouterr().out


def test_workers_and_array_tasks_share_the_runs(monkeypatch):
    assert list(own_share(5)) == [0, 1, 2, 3, 4]
    shares = []
    for task in ("3", "5"):  # --array=3-5:2
        monkeypatch.setenv("SLURM_ARRAY_TASK_ID", task)
        monkeypatch.setenv("SLURM_ARRAY_TASK_MIN", "3")
        monkeypatch.setenv("SLURM_ARRAY_TASK_STEP", "2")
        monkeypatch.setenv("SLURM_ARRAY_TASK_COUNT", "2")
        for worker in ("0/2", "1/2"):
            monkeypatch.setenv(module.SHARE, worker)
            shares.append(set(own_share(7)))
    assert sorted(number for share in shares for number in share) == list(range(7))


def test_a_run_of_other_code_is_not_taken_for_finished(flags, monkeypatch):
    (recipe,) = parse_series([*flags, "--seeds", "0"]).recipes
    (done,) = run_series([recipe])
    runs = runs_table(recipe.track)
    (member,) = members([recipe])
    assert member.find(runs) == done
    assert member.find(runs.assign(commit="0" * 40)) is None
    assert member.find(runs.assign(status="KILLED")) is None


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--data.split", "stratified", "--folds", "all"], "stratified has no folds"),
        (["--folds", "first"], "give all, or numbers"),
        (["--folds", "7"], "data.fold 7 is not below"),
        (["--seeds", "0", "--workers", "0"], "at least 1"),
    ],
)
def test_bad_series_are_one_line(flags, more, said):
    with pytest.raises(UserError, match=said):
        _ = parse_series([*flags, *more]).recipes


@pytest.mark.many
def test_two_workers_make_a_series(flags, capfd):
    run.main([*flags, "--seeds", "0", "--folds", "all", "--workers", "2"])
    said = capfd.readouterr().out
    assert sum(line.startswith("| knn") for line in said.splitlines()) == 1
    assert "| 3/3 " in said


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("SLURM_ARRAY_TASK_ID", "x"), ("SLURM_ARRAY_TASK_STEP", "0"), (module.SHARE, "1"),
        (module.SHARE, "0/0"), ("SLURM_ARRAY_TASK_COUNT", "9" * 5000),
    ],
)  # fmt: skip
def test_an_environment_that_is_none_of_its_program(monkeypatch, name, text):
    monkeypatch.setenv(name, text)
    with pytest.raises(UserError, match=f"{name} is .* in the environment"):
        own_share(3)
