import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import lightning
import mlflow
import numpy as np
import pandas as pd
import pytest
import torch
from conftest import quick_flags
from sklearn.metrics import classification_report

from experiments import compare, run
from gtzan_lightning.data.catalogue import GENRES
from gtzan_lightning.data.module import GenreData
from gtzan_lightning.data.recordings import Recordings
from gtzan_lightning.data.synthetic import render
from gtzan_lightning.errors import UserError
from gtzan_lightning.inference.onnx import run_onnx, to_onnx
from gtzan_lightning.inference.tagger import Tagger
from gtzan_lightning.models.checkpoint import read_checkpoint
from gtzan_lightning.recipe.command_line import LAST, parse_run
from gtzan_lightning.results import predictions as metrics
from gtzan_lightning.results.calibration import calibration, temperature
from gtzan_lightning.tracking.reading import runs_table, store_uri
from gtzan_lightning.training import train as training
from gtzan_lightning.training.callbacks import AveragedWeights, Checkpoint
from gtzan_lightning.training.fit import _compiler_named
from gtzan_lightning.training.train import make_model, train

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def trained(tmp_path_factory, packed):
    """One whole run of the main job, and what it printed."""
    folder = tmp_path_factory.mktemp("trained")
    flags = [*quick_flags(packed, folder), "--data.clips_per_song", "20", "--fit.max_epochs", "6"]
    flags += ["--fit.log_every_n_steps", "10", "--track.register", "genres"]
    flags += ["--fit.learning_rate", "0.005", "--augment.spectrogram", "0", "--open-test"]
    recipe, _ = parse_run(flags)
    return recipe, train(recipe), flags


def client(recipe) -> mlflow.MlflowClient:
    return mlflow.MlflowClient(store_uri(recipe.track))


def test_it_learns(trained):
    _, outcome, _ = trained
    assert outcome.scores["final/valid/song_accuracy"] > 0.25  # ten genres: chance is 0.1


def test_the_run_carries_everything(trained):
    recipe, outcome, _ = trained
    got = client(recipe).get_run(outcome.run_id)
    assert got.info.status == "FINISHED"
    assert got.data.params["fit.max_epochs"] == "6"
    for tag in ("corpus", "protocol", "split_fingerprint", "commit", "dirty", "seed", "recipe"):
        assert got.data.tags[tag], tag
    artifacts = {a.path for a in client(recipe).list_artifacts(outcome.run_id)}
    assert artifacts >= {
        "recipe.yaml", "songs.csv", "verification.csv", "environment.json", "predictions.csv",
        "learning_curves.png", "test_confusion.png", "test_per_genre.png", "test_per_genre.csv",
        "valid_confusion.png", "test_reliability.png", "checkpoints",
    }  # fmt: skip
    environment = json.loads(
        mlflow.artifacts.load_text(f"{got.info.artifact_uri}/environment.json")
    )
    assert environment["version.torch"] == torch.__version__
    assert got.inputs.dataset_inputs[0].dataset.name == "synthetic"
    for name in ("valid/song_accuracy", "valid/clip_f1", "train/clip_auroc", "train/loss_epoch"):
        assert len(client(recipe).get_metric_history(outcome.run_id, name)) == 6, name
    for name in ("final/test/songs", "final/test/song_accuracy_low", "minutes", "parameters"):
        assert name in got.data.metrics
    # the page sorts names: what is no score comes last
    assert sorted(name for name in got.data.metrics if "/" in name)[-1] == "watch/learning_rate"
    assert f"gtzan tag FOLDER --run {outcome.run_id}" in got.data.tags["mlflow.note.content"]


def test_every_figure_is_recomputed_from_the_predictions(trained):
    _, outcome, _ = trained
    predictions = pd.read_csv(outcome.folder / "predictions.csv")
    recomputed = {
        f"final/{part}/{name}": value
        for part in ("valid", "test")
        for of_part in (metrics.scores(predictions, part), calibration(predictions, part))
        for name, value in of_part.items()
    } | {"temperature": temperature(predictions)}
    training = metrics.scores(predictions, "train").items()
    recomputed |= {f"final/train/{name}": value for name, value in training}
    assert {"final/train/clip_loss", "final/valid/songs", "final/test/song_accuracy"} <= set(
        recomputed
    )
    assert recomputed == pytest.approx(outcome.scores, abs=1e-12)


def test_published_metrics_are_those_of_scikit_learn(trained):
    _, outcome, _ = trained
    predictions = pd.read_csv(outcome.folder / "predictions.csv")
    genres = list(GENRES)
    for part in ("train", "test"):
        clips = predictions[predictions["part"] == part]
        truth, answer = clips["genre"], clips[genres].idxmax(axis=1)
        report = classification_report(truth, answer, output_dict=True, zero_division=0)
        got = {n: outcome.scores[f"final/{part}/clip_{n}"] for n in ("precision", "recall")}
        assert got == pytest.approx({name: report["macro avg"][name] for name in got})
        weighted = outcome.scores[f"final/{part}/clip_f1_weighted"]
        assert weighted == pytest.approx(report["weighted avg"]["f1-score"])
        loss = torch.nn.functional.nll_loss(
            torch.tensor(clips[genres].to_numpy()), torch.tensor([genres.index(g) for g in truth])
        )
        assert outcome.scores[f"final/{part}/clip_loss"] == pytest.approx(float(loss))


def test_torchmetrics_and_the_predictions_agree(trained):
    """The best epoch's logged validation figures are those of the tested checkpoint."""
    recipe, outcome, _ = trained
    points = client(recipe).get_metric_history(outcome.run_id, "valid/song_accuracy")
    best = max(p.value for p in points)
    assert outcome.scores["final/valid/song_accuracy"] == pytest.approx(best, abs=1e-6)
    step = next(p.step for p in points if p.value == best)
    for name in ("clip_accuracy", "song_f1", "song_auroc", "clip_auroc", "song_accuracy_hard"):
        logged = {p.step: p.value for p in client(recipe).get_metric_history(
            outcome.run_id, "valid/" + name)}[step]  # fmt: skip
        assert outcome.scores[f"final/valid/{name}"] == pytest.approx(logged, abs=1e-4), name


@pytest.mark.parametrize("pack", ["waveforms", "pictures"])
def test_every_road_out_takes_any_batch_and_equals_the_test_loop(
    trained, quick, pack, tmp_path, monkeypatch
):
    recipe, outcome, _ = trained
    waves_of = recipe
    if pack == "pictures":
        recipe = quick("--data.pack", "pictures", "--open-test")
        outcome = train(recipe)
    (logged,) = client(recipe).get_run(outcome.run_id).outputs.model_outputs
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store_uri(recipe.track))
    monkeypatch.setenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "false")
    model = mlflow.pyfunc.load_model(f"models:/{logged.model_id}")
    data = GenreData(waves_of)
    data.setup()
    ids = data.split.songs("test")
    rows = [data.corpus.ids.index(i) for i in ids]
    waves = np.stack([data.corpus.recording(row)[: 4 * 8000] for row in rows]) / np.float32(32767)
    table = model.predict(waves)
    assert list(table) == data.corpus.genres == model.metadata.get_output_schema().input_names()
    found = table.to_numpy()
    assert found.shape == (len(ids), 10)
    np.testing.assert_allclose(found.sum(1), 1, atol=1e-5)
    np.testing.assert_allclose(model.predict(waves[:1]), found[:1], atol=1e-5)
    assert len(model.predict(waves[:2, :8000])) == 2  # one clip
    with pytest.raises(mlflow.MlflowException, match=r"2 samples .* takes 1 s, 8000 samples at"):
        model.predict(waves[:1, :2])
    predictions = pd.read_csv(outcome.folder / "predictions.csv")
    votes = metrics.vote(predictions[predictions["part"] == "test"]).set_index("song").loc[ids]
    own = torch.tensor(votes[data.corpus.genres].to_numpy())
    truth = (own / outcome.scores["temperature"]).softmax(1).numpy()
    np.testing.assert_allclose(found, truth, atol=1e-4)
    tagger = Tagger.load(outcome.folder / "best.ckpt")
    np.testing.assert_allclose(tagger.probabilities(waves), truth, atol=1e-4)
    to_onnx(tagger, tmp_path / "genres.onnx", seconds=4.0)
    np.testing.assert_allclose(run_onnx(tmp_path / "genres.onnx", waves), truth, atol=1e-4)


@pytest.mark.many
def test_mlflow_serves_the_logged_model(trained):
    recipe, outcome, _ = trained
    (logged,) = client(recipe).get_run(outcome.run_id).outputs.model_outputs
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    here = str(Path(sys.executable).parent)  # MLflow starts uvicorn by its name
    server = subprocess.Popen(
        ["mlflow", "models", "serve", "-m", f"models:/{logged.model_id}", "--port", str(port),
         "--env-manager", "local"],
        env={**os.environ, "MLFLOW_TRACKING_URI": store_uri(recipe.track),
             "PATH": f"{here}{os.pathsep}{os.environ['PATH']}"},
        start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    waves = np.stack([render(genre, 1, 5, 4.0, 8000) for genre in ("blues", "rock")])
    try:
        for _ in range(240):
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"http://127.0.0.1:{port}/ping").close()
                break
            assert server.poll() is None
            time.sleep(0.5)
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/invocations",
            json.dumps({"inputs": waves.tolist()}).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request) as reply:
            found = pd.DataFrame(json.load(reply)["predictions"])
        request.data = json.dumps({"inputs": waves[:, :2].tolist()}).encode()
        with pytest.raises(urllib.error.HTTPError, match="400") as refused:
            urllib.request.urlopen(request)
        assert "2 samples are too short" in json.load(refused.value)["message"]
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait()
    tagger = Tagger.load(outcome.folder / "best.ckpt")
    assert list(found) == tagger.genres
    np.testing.assert_allclose(found, tagger.probabilities(waves), atol=1e-4)


def test_the_model_is_registered_and_found_by_its_name(trained):
    recipe, outcome, _ = trained
    tagger = Tagger.load("models:/genres/1", recipe.track)
    assert tagger.digest == Tagger.load(outcome.folder / "best.ckpt").digest


def test_the_table_marks_its_own_row_and_compare_writes_it(trained, tmp_path, capsys):
    recipe, outcome, _ = trained
    from gtzan_lightning.training.report import result_lines

    text = result_lines(recipe, outcome.run_id, outcome.scores)
    assert "small_cnn <- this run" in text
    assert "test part" in text
    compare.main(["--track.folder", recipe.track.folder, "--out", str(tmp_path)])
    assert "small_cnn" in capsys.readouterr().out
    for number, part in enumerate(("valid", "test"), 1):  # a table each
        assert "| small_cnn" in (tmp_path / f"compare-{number}.md").read_text()
        songs = pd.read_csv(tmp_path / f"compare-{number}.csv")["n"].iloc[0]
        assert songs == outcome.scores[f"final/{part}/songs"]


def test_the_same_seed_gives_the_same_losses_bit_for_bit(quick):
    losses = []
    for seed in (0, 0, 1):
        recipe = quick("--seed", str(seed), "--track.log_model", "false", "--augment.cutmix", "0.5")
        got = client(recipe).get_metric_history(train(recipe).run_id, "train/loss_epoch")
        losses.append([p.value for p in got])
    assert losses[0] == losses[1]
    assert losses[0] != losses[2]


@pytest.mark.parametrize("more", [(), ("--fit.average_epochs", "1.5", "--fit.schedule", "plateau")])
def test_resume_ends_as_the_undisturbed_run_in_the_same_mlflow_run(quick, monkeypatch, more):
    flags = ("--fit.max_epochs", "4", "--track.log_model", "false", *more)
    whole = train(quick(*flags))
    recipe = quick(*flags)
    step = training.GenreClassifier.on_train_epoch_start

    def interrupt(self):
        step(self)
        if self.current_epoch == 2:
            raise KeyboardInterrupt

    before = {r for r in runs_table(recipe.track)["run_id"]}
    with monkeypatch.context() as patch:
        patch.setattr(training.GenreClassifier, "on_train_epoch_start", interrupt)
        with pytest.raises(KeyboardInterrupt):
            train(recipe)
    (killed,) = set(runs_table(recipe.track)["run_id"]) - before
    got = client(recipe).get_run(killed)
    assert got.info.status == "KILLED"
    assert client(recipe).list_artifacts(killed, "checkpoints")[0].path == "checkpoints/best.ckpt"
    resumed_recipe, run_id = parse_run(["--resume", killed, "--track.folder", recipe.track.folder])
    named = recipe.data.model_copy(update={"split": "stratified"})  # what auto means here
    assert resumed_recipe == recipe.model_copy(update={"data": named})
    resumed = train(resumed_recipe, run_id)
    assert resumed.run_id == killed
    assert client(recipe).get_run(killed).info.status == "FINISHED"
    for name, value in whole.scores.items():
        assert resumed.scores[name] == pytest.approx(value, abs=1e-6, nan_ok=True), name
    # figures of ten songs are coarse: the resumed epochs' losses tell what the draws were
    losses = [
        client(recipe).get_metric_history(r.run_id, "train/loss_epoch") for r in (whole, resumed)
    ]
    assert [p.value for p in losses[0]] == [p.value for p in losses[1]]
    with pytest.raises(UserError, match="is complete"):
        parse_run(["--resume", killed, "--track.folder", recipe.track.folder])


def test_a_run_that_stopped_early_does_not_train_on_when_it_is_resumed(quick, monkeypatch):
    recipe = quick("--fit.max_epochs", "30", "--fit.patience", "1", "--track.log_model", "false")

    def interrupt(*args):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(training, "predict", interrupt)
        with pytest.raises(KeyboardInterrupt):
            train(recipe)
    (killed,) = runs_table(recipe.track)["run_id"]
    before = client(recipe).get_metric_history(killed, "valid/loss")
    assert len(before) < 30
    assert train(recipe, LAST).run_id == killed
    after = client(recipe).get_metric_history(killed, "valid/loss")
    assert [p.value for p in after] == [p.value for p in before]
    # it is done: the same command is a new run
    assert train(recipe, LAST).run_id != killed


def test_a_folder_that_was_moved_keeps_its_best_score(tmp_path):
    old, new = tmp_path / "old", tmp_path / "new"
    first = Checkpoint(dirpath=old, filename="best", monitor="x", mode="max")
    first.best_model_score, first.best_model_path = torch.tensor(0.5), str(old / "best.ckpt")
    first.best_k_models = {str(old / "best.ckpt"): torch.tensor(0.5)}
    first.kth_best_model_path = first.best_model_path
    second = Checkpoint(dirpath=new, filename="best", monitor="x", mode="max")
    second.load_state_dict(first.state_dict())
    assert second.best_model_score == 0.5
    assert second.best_model_path == str(new / "best.ckpt")
    trainer = lightning.Trainer(logger=False, accelerator="cpu", enable_progress_bar=False)
    assert not second.check_monitor_top_k(trainer, torch.tensor(0.4))
    assert second.check_monitor_top_k(trainer, torch.tensor(0.6))


def test_a_store_that_takes_no_records_is_said_and_the_run_is_not_left_running(quick, monkeypatch):
    recipe = quick("--track.log_model", "false")
    monkeypatch.setattr("gtzan_lightning.tracking.tracker.PATIENCE", 2.0)
    with monkeypatch.context() as patch:

        def refuse(*args):
            raise ConnectionError("gone")

        patch.setattr("gtzan_lightning.tracking.sender.Sender.__call__", refuse)
        with pytest.raises(UserError, match=r"did not take all records .* --resume"):
            train(recipe)
    (run,) = runs_table(recipe.track)["run_id"]
    assert client(recipe).get_run(run).info.status == "FAILED"
    outcome = train(recipe, LAST)
    assert outcome.run_id == run
    assert client(recipe).get_run(run).info.status == "FINISHED"
    assert len(client(recipe).get_metric_history(run, "valid/loss")) == 2


def test_the_averaged_weights_that_were_validated_are_kept_and_tested(quick):
    flags = ("--fit.average_epochs", "2", "--fit.max_epochs", "4", "--fit.learning_rate", "0.01")
    recipe = quick(*flags)
    outcome = train(recipe)
    history = {
        name: client(recipe).get_metric_history(outcome.run_id, f"valid/{name}")
        for name in ("song_accuracy", "clip_accuracy", "song_auroc")
    }
    best = max(history["song_accuracy"], key=lambda point: point.value).step
    for name, points in history.items():
        logged = next(point.value for point in points if point.step == best)
        assert outcome.scores[f"final/valid/{name}"] == pytest.approx(logged, abs=1e-4), name


def test_averaged_weights_look_back_so_many_epochs():
    """A weight that jumps from 0 to 1: first the plain mean, then an average of 1.5 epochs."""
    averaged = AveragedWeights(1.5)
    trainer = SimpleNamespace(estimated_stepping_batches=20, max_epochs=5)
    averaged.on_fit_start(trainer, None)
    weight, found = torch.tensor(0.0), []
    for step in range(10):
        averaged._blend([weight], [torch.tensor(float(step >= 2))], torch.tensor(step))
        found.append(float(weight))
    assert found[3] == pytest.approx(2 / 4)  # mean of 0, 0, 1, 1
    assert found[9] == pytest.approx(1 - (1 - found[5]) * (5 / 6) ** 4)


@pytest.mark.parametrize(
    ("songs", "epochs", "momentum"),
    [("6", "40", 0.1), ("40", "40", 1 / (1.5 * 25)), ("40", "8", 1 / 20)],
)
def test_batch_norms_of_efficientnet_look_back_an_epoch_and_a_half_or_a_tenth_of_the_training(
    quick, songs, epochs, momentum
):
    flags = ["--data.synthetic_songs", songs, "--fit.max_epochs", epochs]
    recipe = quick(*flags, model="efficientnet")
    data = GenreData(recipe)
    data.setup()
    model = make_model(recipe, data)
    model._trainer = SimpleNamespace(
        estimated_stepping_batches=len(data.train_dataloader()) * recipe.fit.max_epochs
    )
    model.on_fit_start()
    norms = [m for m in model.network.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    (found,) = {m.momentum for m in norms}
    assert found == pytest.approx(momentum)


def test_early_stopping_stops_and_the_best_epoch_is_tested(quick):
    still = ["--fit.learning_rate", "1e-9", "--fit.schedule", "constant"]
    recipe = quick(*still, "--fit.max_epochs", "9", "--fit.patience", "2", "--track.log_model", "0")
    outcome = train(recipe)
    points = client(recipe).get_metric_history(outcome.run_id, "valid/song_accuracy")
    assert 3 <= len(points) < 9
    assert outcome.scores["final/valid/song_accuracy"] == pytest.approx(
        max(p.value for p in points), abs=1e-6
    )


def test_nothing_looks_at_the_test_part_before_the_test(quick, monkeypatch):
    """Songs of the test part can't be read until the trainer tests, and it tests if it is asked."""
    recipe = quick("--track.log_model", "false")
    data = GenreData(recipe)
    data.setup()
    closed = {data.corpus.ids.index(i) for i in data.split.songs("test")}
    opened: list[str] = []
    state = {"now": "fit"}

    class Watched(Recordings):
        def parts(self, songs, start, stop):
            opened.extend(state["now"] for song in songs if song in closed)
            return super().parts(songs, start, stop)

    real = training.GenreData.setup

    def setup(self, stage=None):
        real(self, stage)
        if not isinstance(kept := self.corpus.recordings, Watched):
            watched = Watched(kept.file, kept.values, kept.bins, kept.first, kept.width, kept.sums)
            self.corpus = replace(self.corpus, recordings=watched)

    original = training.lightning.Trainer.test

    def test(self, *args, **kwargs):
        state["now"] = "test"
        return original(self, *args, **kwargs)

    monkeypatch.setattr(training.GenreData, "setup", setup)
    monkeypatch.setattr(training.lightning.Trainer, "test", test)
    train(recipe)
    assert not opened
    train(quick("--track.log_model", "false", "--open-test"))
    assert set(opened) == {"test"}


def test_the_leaky_protocol_is_marked_everywhere(quick, capsys):
    flags = ["--data.split", "clips", "--track.name", "mine", "--track.log_model", "false"]
    recipe = quick(*flags)
    outcome = train(recipe)
    assert "WARNING: LEAKY" in capsys.readouterr().out
    assert (outcome.folder / "LEAKY_predictions.csv").exists()
    got = client(recipe).get_run(outcome.run_id)
    assert got.info.run_name == "mine-LEAKY"
    assert "LEAKY" in got.data.tags["warning"]
    compare.main(["--track.folder", recipe.track.folder])
    assert "small_cnn LEAKY" in capsys.readouterr().out


def test_a_corpus_without_test_songs_copes_and_says_so(gtzan_copy, quick, capsys):
    flags = ["--data.corpus", "gtzan", "--data.root", str(gtzan_copy), "--data.split", "first20"]
    recipe = quick(*flags, "--data.split", "kfold", "--data.folds", "50", "--data.fold", "37")
    data = GenreData(recipe)
    data.setup()
    if data.grid("test"):
        pytest.fail("choose a fold of which the copy has no song")
    outcome = train(recipe)
    said = capsys.readouterr().out
    assert "no song of the test part is here" in said
    assert "verification: 940 missing" in said
    assert "final/test/songs" not in outcome.scores
    compare.main(["--track.folder", recipe.track.folder])
    assert "optimistic" in capsys.readouterr().out


def test_a_tracking_server_that_does_not_answer(quick):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        uri = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(UserError, match=r"does not answer.*track\.uri local"):
            train(quick("--track.uri", uri))


@pytest.mark.parametrize("flag", ["--fit.strategy", "--track.uri"])
def test_what_lightning_or_mlflow_refuse_is_one_line(quick, flag):
    with pytest.raises(UserError, match=r"fit\.\*|track\.uri local") as caught:
        train(quick(flag, "nonsense"))
    assert "\n" not in str(caught.value)


def test_no_space_for_results(quick, monkeypatch):
    usage = training.check_output.__globals__["shutil"].disk_usage("/")._replace(free=10)
    monkeypatch.setattr("gtzan_lightning.tracking.reading.shutil.disk_usage", lambda path: usage)
    with pytest.raises(UserError, match=r"No space left.*track\.folder"):
        train(quick())


def test_a_disk_that_fills_up_while_training_says_how_to_go_on(quick, monkeypatch):
    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pd.DataFrame, "to_csv", full)
    recipe = quick("--track.log_model", "false")
    monkeypatch.setattr(training, "describe", lambda *args: None)
    with pytest.raises(UserError, match=r"No space left on device: make room; .* --resume"):
        train(recipe)


def test_results_that_can_not_be_written(quick, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"can't be written to .*track\.folder"):
        train(quick("--track.folder", str(tmp_path / "file")))


def test_checkpoints_that_can_not_be_used_are_one_line(trained, tmp_path):
    _, outcome, _ = trained
    best = outcome.folder / "best.ckpt"
    whole = best.read_bytes()
    cut = tmp_path / "cut.ckpt"
    cut.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match="truncated"):
        read_checkpoint(cut)
    other = torch.load(best, weights_only=True)
    renamed = torch.load(best, weights_only=True)
    renamed["gtzan_lightning"]["recipe"]["data"]["bin"] = 3
    torch.save(renamed, tmp_path / "renamed.ckpt")
    with pytest.raises(UserError, match=r"settings or layers are not those"):
        Tagger.load(tmp_path / "renamed.ckpt")
    other["gtzan_lightning"] |= {"format": 0, "version": "0.0.1"}
    torch.save(other, tmp_path / "other.ckpt")
    with pytest.raises(UserError, match=r"made by gtzan_lightning 0\.0\.1"):
        Tagger.load(tmp_path / "other.ckpt")
    torch.save({"state_dict": {}}, tmp_path / "foreign.ckpt")
    with pytest.raises(UserError, match="was not made by gtzan_lightning"):
        Tagger.load(tmp_path / "foreign.ckpt")

    class Code:
        def __reduce__(self):
            return os.system, ("echo executed",)

    torch.save({"gtzan_lightning": Code()}, tmp_path / "code.ckpt")
    with pytest.raises(UserError, match="can't be read"):
        read_checkpoint(tmp_path / "code.ckpt")


@pytest.mark.many
def test_several_runs_may_create_the_store_at_the_same_moment(tmp_path):
    code = (
        "import sys; from gtzan_lightning.tracking.tracker import Tracker\n"
        "from gtzan_lightning.recipe.settings import TrackSettings\n"
        "t = Tracker(TrackSettings(uri='local', folder=sys.argv[1])); t.start('r', {})"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    many = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(3)]
    errors = [process.communicate()[1] for process in many]
    assert [process.returncode for process in many] == [0] * 3, errors


def test_ctrl_c_on_the_command_line(tmp_path, packed):
    flags = [*quick_flags(packed, tmp_path), "--fit.max_epochs", "500"]
    command = [sys.executable, str(ROOT / "experiments" / "run.py"), *flags]
    # a suite that runs in the background of a shell hands on that Ctrl-C is to be ignored
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    deadline = time.time() + 90
    while not list(tmp_path.glob("mlruns/runs/*/last.ckpt")) and time.time() < deadline:
        time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "resume it with --resume" in said
    assert "Traceback" not in said


def test_checkpoints_rebuild_with_weights_only(trained):
    recipe, outcome, _ = trained
    tagger = Tagger.load(outcome.folder / "best.ckpt")
    data = GenreData(recipe)
    data.setup()
    assert tagger.recipe == data.recipe
    assert data.recipe.data.split == "stratified"  # what auto means here
    model = make_model(recipe, data)
    model.load_state_dict(torch.load(outcome.folder / "best.ckpt", weights_only=True)["state_dict"])


def test_main_is_a_plain_function(quick, packed, tmp_path, capsys):
    run.main(
        [*quick_flags(packed, tmp_path), "--fit.max_epochs", "1", "--track.log_model", "false"]
    )
    assert "<- this run" in capsys.readouterr().out


def test_gradients_are_clipped_to_their_largest_norm_and_else_left_alone(quick):
    recipe = quick()
    data = GenreData(recipe)
    data.setup()
    model = make_model(recipe, data)
    weights = list(model.network.parameters())
    for largest in (0.5, 1e9):
        for weight in weights:
            weight.grad = torch.randn_like(weight)
        before = [weight.grad.clone() for weight in weights]
        norm = torch.stack([gradient.norm() for gradient in before]).norm()
        model.configure_gradient_clipping(None, largest, "norm")
        for weight, gradient in zip(weights, before, strict=True):
            torch.testing.assert_close(weight.grad, gradient * min(1.0, largest / norm))


def test_lightnings_profile_is_kept_with_the_run(quick):
    recipe = quick("--fit.profiler", "simple", "--track.log_model", "false")
    outcome = train(recipe)
    assert "run_training_batch" in (outcome.folder / "fit-profile.txt").read_text()
    artifacts = {a.path for a in client(recipe).list_artifacts(outcome.run_id)}
    assert "fit-profile.txt" in artifacts


def test_what_torch_compile_says_is_one_line():
    said = pytest.raises(UserError, match=r"fit\.compile.*no C\+\+ compiler.*leave it out")
    with said, _compiler_named(True):
        raise torch._dynamo.exc.TorchDynamoException("no C++\ncompiler")


@pytest.mark.many
def test_a_compiled_network_learns_the_same(quick):
    losses = []
    for compiled in ("false", "true"):
        flags = ["--fit.compile", compiled, "--model.dropout", "0", "--fit.average_epochs", "1"]
        recipe = quick(*flags, "--track.log_model", "false")
        outcome = train(recipe)
        points = client(recipe).get_metric_history(outcome.run_id, "train/loss_epoch")
        losses.append([point.value for point in points])
    assert losses[0] == pytest.approx(losses[1], abs=1e-3)
