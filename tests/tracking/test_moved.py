"""A local store whose folder was moved or copied: it says so, and one call mends it."""

import shutil
import sqlite3
from pathlib import Path

import pytest

from gtzan_lightning.errors import UserError
from gtzan_lightning.inference.tagger import Tagger
from gtzan_lightning.recipe.settings import TrackSettings
from gtzan_lightning.tracking import moved
from gtzan_lightning.tracking.moved import mend, moved_from
from gtzan_lightning.tracking.reading import check_output, read_predictions
from gtzan_lightning.tracking.run_folder import lock_run, unfinished
from gtzan_lightning.tracking.sender import LoggedModel
from gtzan_lightning.tracking.store import add_files, connect
from gtzan_lightning.tracking.tracker import Tracker

PREDICTIONS = "part,song,start,genre,jazz,rock\ntest,jazz.00001,0,jazz,-0.1,-2.352168\n"
CODE = "gtzan_lightning.inference.pyfunc"


def recorded(track: TrackSettings, checkpoint: str) -> Tracker:
    """A finished run with predictions, a checkpoint and a registered model."""
    tracker = Tracker(track)
    tracker.start("a run", {})
    shutil.copy(checkpoint, tracker.folder / "best.ckpt")
    with tracker.recording():
        tracker.log(PREDICTIONS, "predictions.csv")
        tracker.log_file(tracker.folder / "best.ckpt", "checkpoints")
        tracker.log_model(LoggedModel(CODE, tracker.folder / "best.ckpt", ["a", "b"], 8000))
        tracker.log_registration("genres")
    return tracker


@pytest.fixture(scope="module")
def kept(tmp_path_factory, checkpoint) -> tuple[Path, str]:
    """Folder of a store, and the id of its run."""
    folder = tmp_path_factory.mktemp("where it was") / "mlruns"
    return folder, recorded(TrackSettings(folder=str(folder), uri="local"), checkpoint).run_id


@pytest.fixture
def copied(kept, tmp_path) -> tuple[TrackSettings, Path, str]:
    shutil.copytree(kept[0], tmp_path / "mlruns")
    return TrackSettings(folder=str(tmp_path / "mlruns"), uri="local"), *kept


def texts(folder: Path) -> str:
    with sqlite3.connect(folder / "mlflow.db") as store:
        return "\n".join(store.iterdump())


def test_a_copied_store_is_mended_and_the_old_one_stays(copied, checkpoint, capsys):
    track, old, run_id = copied
    before = texts(old)
    assert moved_from(track) == old
    assert moved_from(TrackSettings(folder=str(old), uri="local")) is None
    for write in (check_output, connect, lambda track: add_files(run_id, track, [], "explained")):
        with pytest.raises(
            UserError, match=rf"{old}.* Mend it with gtzan runs mend --track.folder"
        ):
            write(track)
    moved._say.cache_clear()
    for _ in range(2):  # reading says it once
        read_predictions(run_id, track)
    assert capsys.readouterr().err.count("gtzan runs mend") == 1
    assert mend(track) == 5  # experiment, run, logged model, and two of a model's version
    assert (moved_from(track), mend(track)) == (None, 0)
    assert f"{old}/" not in texts(Path(track.folder))
    assert texts(old) == before
    recorded(track, checkpoint)
    assert texts(old) == before


def test_a_moved_store_is_whole_after_it_is_mended(copied, tmp_path):
    track, _, run_id = copied
    assert mend(track)
    here = (tmp_path / "mlruns").rename(tmp_path / "here")
    track = track.model_copy(update={"folder": str(here)})
    with pytest.raises(UserError, match="did not end"):  # nothing lies where it is looked for
        read_predictions(run_id, track)
    assert mend(track)
    assert list(read_predictions(run_id, track)["song"]) == ["jazz.00001"]
    for where in (run_id, "models:/genres/1"):
        assert Tagger.load(where, track).genres
    assert (here / "mlflow.db.before-mend").exists()


def test_a_store_is_not_mended_under_a_run(copied):
    track, old, run_id = copied
    lock = lock_run(Path(track.folder) / "runs" / run_id)
    with pytest.raises(UserError, match=f"run {run_id} .* is being made"):
        mend(track)
    assert moved_from(track) == old
    lock.release()
    assert mend(track)


def test_an_interrupted_run_of_a_mended_store_is_still_the_last(quick, copied):
    from gtzan_lightning.tracking.run_folder import keep_recipe

    track, old, _ = copied
    folder = Path(track.folder) / "runs" / "interrupted"
    recipe = quick().model_copy(update={"track": track})
    old_recipe = recipe.model_copy(update={"track": track.model_copy(update={"folder": str(old)})})
    keep_recipe(folder, old_recipe)
    assert unfinished(recipe) is None
    mend(track)
    assert unfinished(recipe) == "interrupted"


def test_artifacts_that_somebody_keeps_elsewhere_are_no_moved_store(tmp_path):
    track = TrackSettings(folder=str(tmp_path / "mlruns"), uri="local")
    client = connect(track)
    elsewhere = f"file://{tmp_path}/big/artifacts"
    experiment = client.create_experiment(track.experiment, artifact_location=elsewhere)
    client.create_run(experiment)
    assert (moved_from(track), mend(track)) == (None, 0)
    assert not (tmp_path / "mlruns" / "mlflow.db.before-mend").exists()
    nowhere = track.model_copy(update={"folder": str(tmp_path / "nothing")})
    assert mend(nowhere) == 0
    assert not (tmp_path / "nothing").exists()
