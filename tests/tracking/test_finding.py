"""Which run a word means, and the commands that list, delete and resume runs."""

import sys

import mlflow
import pytest

from gtzan_lightning.commands import run as run_command
from gtzan_lightning.commands import runs
from gtzan_lightning.errors import UserError
from gtzan_lightning.recipe.settings import TrackSettings
from gtzan_lightning.tracking import reading, run_folder
from gtzan_lightning.tracking.finding import one, run_id

NETWORK = {"parameters": 1000.0}


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """A store with runs of two experiments: name -> id."""
    folder = tmp_path_factory.mktemp("mlruns")
    track = TrackSettings(folder=str(folder), uri="local")
    client = mlflow.MlflowClient(reading.store_uri(track))
    own, other = client.create_experiment(track.experiment), client.create_experiment("other")
    ids = {}

    def add(name, valid, where=own, status="FINISHED", metrics=NETWORK, **tags):
        tags = {"model": "small_cnn", "corpus": "gtzan", "protocol": "filtered", **tags}
        run = client.create_run(where, run_name=name, tags=tags, start_time=len(ids) + 1)
        ids[name] = run.info.run_id
        if valid:
            ends = {"final/valid/song_accuracy_low": 0.1, "final/valid/song_accuracy_high": 0.9}
            metrics = {**metrics, "final/valid/song_accuracy": valid, **ends}
        for key, value in metrics.items():
            client.log_metric(run.info.run_id, key, value)
        client.set_terminated(run.info.run_id, status)

    add("synthetic", 0.99, corpus="synthetic")
    add("leaky", 0.95, warning="LEAKY PROTOCOL 'clips'")
    add("quick", 0.9, warning="QUICK: a trial")
    add("good", 0.7, other)
    add("plain", 0.6)
    add("twin", 0.5)
    add("twin2", 0.5, model="vgg", protocol="artist seed 0")
    add("baseline", 0.8, metrics={})
    add("failed", None, status="FAILED")
    client.set_tag(ids["twin2"], "mlflow.runName", "twin")
    return track, ids


def test_best_is_the_honest_network_and_last_the_newest(store, capsys):
    track, ids = store
    assert run_id("best", track) == ids["good"]
    assert run_id("last", track) == ids["twin2"]
    said = capsys.readouterr().err.splitlines()
    assert said[0].startswith(
        f"best: {ids['good'][:8]}  1970-01-01 00:00  small_cnn gtzan filtered"
    )
    assert said[0].endswith("valid 0.700")
    assert said[1].startswith("last: ")


def test_where_all_runs_are_quick_the_best_is_one_of_them(tmp_path):
    track = TrackSettings(folder=str(tmp_path), uri="local")
    client = mlflow.MlflowClient(reading.store_uri(track))
    experiment = client.create_experiment(track.experiment)
    for warning, score in (("LEAKY PROTOCOL", 0.9), ("QUICK: a trial", 0.4)):
        run = client.create_run(experiment, tags={"warning": warning}).info.run_id
        client.log_metric(run, "parameters", 1)
        client.log_metric(run, "final/valid/song_accuracy", score)
        client.set_terminated(run)
        if warning.startswith("LEAKY"):
            with pytest.raises(UserError, match="leaky ones do not"):
                run_id("best", track)
    assert run_id("best", track) == run


def test_an_id_its_beginning_and_a_name_mean_a_run_of_any_experiment(store):
    track, ids = store
    for word in (ids["good"], ids["good"][:12], "good"):
        assert run_id(word, track) == ids["good"]


def test_what_means_several_runs_lists_them(store):
    track, ids = store
    with pytest.raises(UserError, match="'twin' means 2 runs, give more of the id") as error:
        run_id("twin", track)
    listed = str(error.value).partition("the id: ")[2].split("; ")
    assert [line.split()[0] for line in listed] == [ids["twin2"][:8], ids["twin"][:8]]
    assert all("1970-01-01" in line and "valid 0.500" in line for line in listed)
    table = reading.all_runs(track)
    table["run_id"] = [f"abcd{n:04}" for n in range(len(table))]
    with pytest.raises(UserError, match=f"means {len(table)} runs"):
        one(table, "abcd")
    with pytest.raises(UserError, match="no run is meant by 'abc'"):  # too short to be an id
        one(table, "abc")
    with pytest.raises(UserError, match=r"'nonsense': give a name, or 4 or more digits"):
        run_id("nonsense", track)


def test_without_a_network_there_is_no_best(tmp_path):
    track = TrackSettings(folder=str(tmp_path), uri="local")
    with pytest.raises(UserError, match="there are no runs in"):
        run_id("best", track)
    client = mlflow.MlflowClient(reading.store_uri(track))
    client.create_experiment(track.experiment)
    with pytest.raises(UserError, match="no network has ended in"):
        run_id("best", track)


def listed(capsys, *flags):
    """The short id and the whole line of each row of the table."""
    runs.main(list(flags))
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("|")]
    return {line.split("|")[2].strip(): line for line in lines[2:]}


def test_runs_are_listed_the_newest_first_and_filtered(store, capsys, monkeypatch):
    track, ids = store
    where = ["--track.folder", track.folder]
    rows = listed(capsys, *where)
    assert list(rows) == [run[:8] for run in reversed(ids.values())]
    assert "| 0.700 [0.100, 0.900]" in rows[ids["good"][:8]]
    assert "small_cnn LEAKY" in rows[ids["leaky"][:8]]
    assert "gtzan filtered" in rows[ids["plain"][:8]]
    assert list(listed(capsys, *where, "--model", "vgg")) == [ids["twin2"][:8]]
    assert list(listed(capsys, *where, "--protocol", "artist")) == [ids["twin2"][:8]]
    assert list(listed(capsys, *where, "--failed")) == [ids["failed"][:8]]
    monkeypatch.setattr(runs, "MOST", 2)
    runs.main(where)
    assert f"{len(ids) - 2} older ones: add --all" in capsys.readouterr().out
    assert len(listed(capsys, *where, "--all")) == len(ids)


def test_delete_asks_first_and_leaves_what_is_in_use(tmp_path, capsys, monkeypatch):
    track = TrackSettings(folder=str(tmp_path), uri="local")
    client = mlflow.MlflowClient(reading.store_uri(track))
    experiment = client.create_experiment(track.experiment)
    made = [client.create_run(experiment, run_name=f"r{n}").info.run_id for n in range(2)]
    lock = run_folder.lock_run(run_folder.folder_of(track, made[0]))
    (run_folder.folder_of(track, made[1])).mkdir()
    where = ["--track.folder", str(tmp_path)]
    with pytest.raises(UserError, match="delete takes ids and names, not 'last'"):
        runs.main(["delete", "last", *where])
    with pytest.raises(UserError, match="--model smal: no run is of it"):
        runs.main(["--model", "smal", *where])
    with pytest.raises(UserError, match="nobody can be asked here: add --yes"):
        runs.main(["delete", "r1", *where])
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda question: "n")
    runs.main(["delete", "r1", *where])
    assert "nothing was deleted" in capsys.readouterr().out
    assert len(reading.all_runs(track)) == 2
    with pytest.raises(UserError, match="is in use by another process"):
        runs.main(["delete", "r0", "r1", *where, "--yes"])
    assert len(reading.all_runs(track)) == 2
    lock.release()
    monkeypatch.setattr("builtins.input", lambda question: "y")
    runs.main(["delete", made[1][:10], *where])
    assert list(reading.all_runs(track)["run_id"]) == [made[0]]
    assert not run_folder.folder_of(track, made[1]).exists()


def test_resume_takes_the_beginning_of_an_id_last_or_a_name(store, tmp_path):
    track, ids = store
    for name in ("0123abcd", "0123ffff"):
        folder = tmp_path / "runs" / name
        folder.mkdir(parents=True)
        (folder / "recipe.yaml").write_text("{}\n")
        (folder / "store.txt").write_text("")
    (tmp_path / "runs" / "0123ffff" / "done").touch()
    assert run_command.to_resume("0123a", str(tmp_path)) == "0123abcd"
    assert run_command.to_resume("last", str(tmp_path)) == "0123abcd"  # the other one has ended
    (tmp_path / "runs" / "0123abcd" / "done").touch()
    with pytest.raises(UserError, match="nothing to resume"):
        run_command.to_resume("last", str(tmp_path))
    assert run_command.to_resume("good", track.folder) == ids["good"]
