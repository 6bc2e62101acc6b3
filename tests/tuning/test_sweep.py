import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import optuna
import pandas as pd
import pytest
from conftest import quick_flags

from experiments import sweep as command
from gtzan_lightning.commands.sweep import _parser
from gtzan_lightning.errors import NoNumber, UserError
from gtzan_lightning.recipe.command_line import parse_layers
from gtzan_lightning.recipe.settings import TrackSettings
from gtzan_lightning.tracking.reading import runs_table
from gtzan_lightning.tuning import study as studies
from gtzan_lightning.tuning import sweep as sweeps
from gtzan_lightning.tuning.space import Corner, Range, Space, read_space
from gtzan_lightning.tuning.storage import storage
from gtzan_lightning.tuning.study import Search, ended, open_study, revive

ROOT = Path(__file__).parents[2]
SPACES = ROOT / "experiments" / "recipes" / "spaces"
SPACE = """
space:
  model.dropout: {float: [0.0, 0.5]}
  fit.learning_rate: {float: [1.0e-3, 1.0e-2], log: true}
  model.channels: [[8, 16], [16, 32]]
"""


@pytest.fixture
def flags(packed, tmp_path):
    (tmp_path / "space.yaml").write_text(SPACE)
    kept = quick_flags(packed, tmp_path)
    at = kept.index("--model.channels")  # the space has it
    return [*kept[:at], "--space", str(tmp_path / "space.yaml")]


@pytest.mark.parametrize("file", sorted(SPACES.glob("*.yaml")), ids=lambda f: f.stem)
def test_every_space_file_is_one_of_its_model(file):
    words = file.read_text().splitlines()[0].split()
    assert words[1:3] == ["python", "experiments/sweep.py"]
    own, settings = _parser().parse_known_args(words[3:])
    assert own.space == f"experiments/recipes/spaces/{file.name}"
    space = read_space(file, *parse_layers(settings, "sweep"))
    for end in (0, -1):
        drawn = space.draw(Corner(end))
        assert not drawn.fit.open_test
        if file.stem.startswith("navas"):  # on the pictures and the songs of the source
            assert drawn.data.picture_size == (256, 256)
            assert drawn.data.fractions == (0.7, 0.15, 0.15)


def test_the_searched_cnns_space_holds_what_was_published():
    file = SPACES / "navas-baseline_cnn.yaml"
    space = read_space(file, *parse_layers(["--model", "baseline_cnn"], "sweep"))
    bounds = {name: d.whole for name, d in space.dimensions.items() if isinstance(d, Range)}
    for name, value in (("convolutions", 4), ("kernel", 4), ("kernels", 88), ("stride", 2)):
        low, high = bounds[f"model.{name}"]
        assert low <= value <= high
    assert all(bounds["model.dense"][0] <= width <= bounds["model.dense"][1] for width in (309, 94))
    assert {"model.dense_dropout", "model.dense_batch_norm"} <= set(space.dimensions)


def test_tpe_draws_so_many_trials_at_random_first():
    assert studies.SAMPLERS["tpe"](0, 33)._n_startup_trials == 33


def test_layers_of_one_width_and_of_their_own():
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    one = read_space(SPACES / "navas-vgg-r1.yaml", *parse_layers(["--model", "vgg"], "sweep"))
    own = read_space(SPACES / "navas-vgg-r2.yaml", *parse_layers(["--model", "vgg"], "sweep"))
    counts = set()
    for _ in range(40):
        recipe = one.draw(study.ask())
        counts.add(len(recipe.model.dense))
        assert len(set(recipe.model.dense)) <= 1
        recipe = own.draw(study.ask())
        assert len(recipe.model.dense) == len(recipe.model.dropout) == 3
        assert len(set(recipe.model.dense)) == 3
        assert 1e-5 <= recipe.fit.learning_rate <= 0.1
    assert counts == {1, 2, 3, 4, 5}


def test_what_is_null_in_a_space_is_not_given(tmp_path):
    file = tmp_path / "space.yaml"
    texts = []
    for more in ("", ", layers: null, step: null, float: null"):
        file.write_text(f"space: {{fit.batch_size: {{int: [8, 64]{more}}}}}")
        space = read_space(file, "small_cnn", [], {})
        assert space.draw(Corner(-1)).fit.batch_size == 64
        texts.append(space.text.replace(str(file), ""))
    assert texts[0] == texts[1]


def test_a_sweep_is_a_parent_run_with_a_run_for_each_trial_and_resumes(flags, tmp_path, capsys):
    command.main([*flags, "--trials", "2", "--no-prune"])
    said = capsys.readouterr().out
    assert said.count("train 30, valid 20, test 10 songs") == 1  # not for each trial
    assert "epoch" not in said.split("best: trial")[0]
    first, second = re.findall(r"^trial \d, \d of 2 ended: song accuracy 0\.\d+, .*$", said, re.M)
    assert re.search(r"best 0\.\d+ \(trial 0\), .* s, .* s left$", first)
    assert not second.endswith("left")
    command.main([*flags, "--trials", "4", "--no-prune"])
    said = capsys.readouterr().out
    assert "2 trials ended, 0 interrupted" in said
    assert "one song is 0.05" in said
    assert "can't be told from it" in said
    command.main([*flags, "--trials", "4", "--no-prune", "--worker"])  # started again, too late
    (journal,) = (tmp_path / "mlruns" / "sweeps").glob("*.journal")
    kept = storage(None, TrackSettings(folder=str(tmp_path / "mlruns")), journal.stem)
    assert len(optuna.load_study(study_name=journal.stem, storage=kept).trials) == 4
    runs = runs_table(TrackSettings(folder=str(tmp_path / "mlruns"), uri="local"))
    parents = runs[runs["name"].str.startswith("sweep-")]
    assert len(parents) == 1
    children = runs[runs["parent"] == parents["run_id"].iloc[0]]
    assert set(children["name"]) == {f"small_cnn-space-trial{number}" for number in range(4)}
    assert (runs["status"] == "FINISHED").all()
    # the test part was not opened, in any trial
    assert not any(name.startswith("final/test") for name in children.columns)
    best = children["final/valid/song_accuracy"].max()
    assert f"validation song accuracy {best:.3f} on 20 songs" in said
    assert parents["best/song_accuracy"].iloc[0] == pytest.approx(best)


def test_a_trial_without_numbers_fails_and_the_sweep_continues(flags, monkeypatch, capsys):
    whole, said = sweeps.train, ["epoch 1, step 3: the loss is nan"]

    def broken(*args, **more):
        if said:
            raise NoNumber(said.pop())
        return whole(*args, **more)

    monkeypatch.setattr(sweeps, "train", broken)
    command.main([*flags, "--trials", "2", "--no-prune"])
    out = capsys.readouterr().out
    assert "trial 0 can't be trained: epoch 1, step 3: the loss is nan" in out
    assert "trial 0, 1 of 2 ended: failed" in out
    assert "trial 1, 2 of 2 ended: song accuracy 0." in out


@pytest.mark.many
@pytest.mark.parametrize("kind", ["journal", "database"])
def test_workers_that_start_together_open_one_study(flags, tmp_path, kind):
    track = TrackSettings(folder=str(tmp_path / "mlruns"), uri="local")
    url = f"sqlite:///{tmp_path}/sweeps.db" if kind == "database" else None
    more = ["--trials", "4", "--no-prune", *(["--storage", url] if url else []), "--worker"]
    script = [sys.executable, str(ROOT / "experiments" / "sweep.py"), *flags, *more]
    workers = [subprocess.Popen(script, cwd=ROOT) for _ in range(2)]
    assert [worker.wait() for worker in workers] == [0, 0]
    name = "small_cnn-space"
    study = optuna.load_study(study_name=name, storage=storage(url, track, name))
    assert ended(study) == 4
    runs = runs_table(track)
    (parent,) = runs.loc[runs["name"] == f"sweep-{name}", "run_id"]
    assert study.user_attrs["parent"] == parent
    assert (runs["parent"] == parent).sum() == len(runs) - 1 == 4
    assert (runs["status"] == "FINISHED").all()


@pytest.mark.parametrize("kind", ["journal", "database"])
def test_a_study_that_several_open_at_once_has_one_parent(tmp_path, monkeypatch, kind):
    track = TrackSettings(folder=str(tmp_path))
    url = f"sqlite:///{tmp_path}/sweeps.db" if kind == "database" else None
    started, parents = [], []

    def start_parent() -> str:
        started.append(f"run {len(started)}")
        time.sleep(0.3)
        return started[-1]

    def opened(start_parent=start_parent, space="space", name="name"):
        drawn = Space("small_cnn", [], {space: [0]})
        kept = storage(url, track, name)
        study = open_study(drawn, name, kept, Search("tpe", 0, 10, prune=True), start_parent)
        return study.user_attrs["parent"]

    with pytest.raises(ZeroDivisionError):
        opened(lambda: str(1 / 0))  # leaves no study that others would wait for
    workers = [threading.Thread(target=lambda: parents.append(opened())) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert (started, parents) == (["run 0"], ["run 0"] * 4)
    with pytest.raises(UserError, match="was made for another space"):
        opened(space="other")
    monkeypatch.setattr(studies, "PATIENCE", 0.1)
    optuna.create_study(study_name="killed", storage=storage(url, track, "killed"))
    with pytest.raises(UserError, match="has no parent run"):
        opened(name="killed")


@pytest.mark.many
def test_two_workers_share_one_study(flags, tmp_path, capfd):
    command.main([*flags, "--trials", "4", "--workers", "2", "--no-prune"])
    assert "best: trial" in capfd.readouterr().out
    runs = runs_table(TrackSettings(folder=str(tmp_path / "mlruns"), uri="local"))
    numbers = runs["trial"].dropna().astype(int)
    assert sorted(set(numbers)) == sorted(numbers)  # no trial twice
    assert len(numbers) in (4, 5)  # two that end at once may both be counted


@pytest.mark.many
def test_a_killed_trial_is_tried_again(flags, tmp_path, packed):
    script = [sys.executable, str(ROOT / "experiments" / "sweep.py"), *flags, "--trials", "3"]
    process = subprocess.Popen([*script, "--fit.max_epochs", "200"], cwd=ROOT)
    while not list(tmp_path.glob("mlruns/runs/*/best.ckpt")):  # of the first epoch
        assert process.poll() is None
        time.sleep(0.1)
    process.send_signal(signal.SIGKILL)
    process.wait()
    time.sleep(0.1)
    model, layers, given = parse_layers(
        [*flags[: flags.index("--space")], "--fit.max_epochs", "200"], "s"
    )
    space = read_space(tmp_path / "space.yaml", model, layers, given)
    name = "small_cnn-space"
    kept = storage(None, space.track, name)
    study = open_study(
        space, name, kept, Search("tpe", 0, 10, True), lambda: pytest.fail("is open")
    )
    (running,) = study.get_trials(states=(optuna.trial.TrialState.RUNNING,))
    assert revive(study) == 1
    again = study.ask()
    space.draw(again)
    assert again.params == running.params
    after = study.ask()  # not the sampler's first draw once more
    space.draw(after)
    assert after.params != running.params


def test_bad_input_is_one_line(flags, tmp_path):
    bad = tmp_path / "bad.yaml"
    flags = [str(bad) if word.endswith("space.yaml") else word for word in flags]
    for text, said in (
        ("space: {model.dropuot: [0.1]}", "unknown parameter 'model.dropuot': did you mean"),
        ("space: {fit.learning_rate: {float: [0.1]}}", r"needs int: \[low, high\]"),
        ("space: {fit.learning_rate: {float: [0.1, 0.01]}}", r"needs int: \[low, high\]"),
        ("space: {fit.learning_rate: 3}", "must be a list of choices"),
        ("space: {model.dropout: {float: [0.1, 3.0]}}", "less than 1, not 3.0"),
        ("fit: {}", "needs a section 'space'"),
        ("space: {data.split: [filtered, clips]}", "data.split decides which songs are tested"),
        ("space: {data.split_seed: [0, 1]}", "trials could not be compared"),
        ("space: {data.fold: [0, 1]}", "trials could not be compared"),
        ("space: {data.leave_out: [[], [country]]}", "trials could not be compared"),
    ):
        bad.write_text(text)
        with pytest.raises(UserError, match=said):
            command.main(flags)
    bad.write_text("space: {model.dropout: [0.1]}")
    with pytest.raises(UserError, match="take one device each, not 2: add --workers 2"):
        command.main([*flags, "--fit.devices", "2"])
    bad.unlink()
    with pytest.raises(UserError, match="can't be read"):
        command.main(flags)


def test_a_study_of_another_space_is_refused(flags, tmp_path):
    command.main([*flags, "--trials", "1", "--no-prune"])
    with pytest.raises(UserError, match="was made for another space"):
        command.main([*flags, "--trials", "2", "--fit.max_epochs", "3"])
    with pytest.raises(UserError, match="can't be opened"):
        command.main([*flags, "--storage", "nonsense://x"])


def test_only_trials_like_the_best_are_said_to_be_like_it(monkeypatch):
    """Of 60 songs the best gets all, the second all but one, the third none."""
    study = optuna.create_study(direction="maximize")
    answers = {}
    for run, right in (("best", 60), ("near", 59), ("far", 0)):
        done = optuna.trial.create_trial(value=right / 60, user_attrs={"run": run})
        study.add_trial(done)
        chance = [0.9] * right + [0.2] * (60 - right)
        answers[run] = pd.DataFrame(
            {"part": "valid", "song": [f"s{n:02}" for n in range(60)], "start": 0.0, "genre": "x",
             "x": np.log(chance), "y": np.log1p(-np.array(chance))}
        )  # fmt: skip
    monkeypatch.setattr(sweeps, "read_predictions", lambda run, track: answers[run])
    table = sweeps.trials_table(study, TrackSettings()).set_index("run")
    assert table["like the best"].to_dict() == {"best": "yes", "near": "yes", "far": "no"}
