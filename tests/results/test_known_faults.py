import mlflow
import numpy as np
import pandas as pd
import pytest
from conftest import run

from experiments import hard
from gtzan_lightning.data.catalogue import filtered_songs, gtzan_ids, known_fault
from gtzan_lightning.recipe.settings import TrackSettings
from gtzan_lightning.results import known_faults as k
from gtzan_lightning.tracking.reading import store_uri


def answered(answers, part="test"):
    """One clip of each song id, predicted as a genre."""
    rows = [
        (part, song, 0.0, song.split(".")[0], *(np.log(0.8 if g == got else 0.1) for g in GENRES))
        for song, got in answers.items()
    ]
    return pd.DataFrame(rows, columns=["part", "song", "start", "genre", *GENRES])


GENRES = ["jazz", "pop", "rock"]
FAULTS = {"jazz.1": "distorted", "pop.2": "double"}


def test_the_faults_of_gtzan_are_those_of_all_three_sources():
    faulty = {song for song in gtzan_ids() if known_fault(song)}
    assert len(filtered_songs()) == 930
    assert faulty >= set(gtzan_ids()) - filtered_songs()
    assert known_fault("jazz.00054") == "unreadable header in the Kaggle copy"  # in the lists
    assert "same recording as" in known_fault("jazz.00053")
    assert known_fault("blues.00000") == known_fault("my/song.mp3") == ""
    assert len(faulty) < 130


def test_three_counts_and_the_ceiling():
    table = answered({"jazz.1": "jazz", "jazz.2": "pop", "pop.3": "pop", "rock.4": "rock"})
    fault = {"jazz.2": "distorted", "pop.3": "double"}
    counts = k.three_counts(table, "test", lambda s: fault.get(s, ""), {"jazz.1", "jazz.2"})
    assert counts == {
        "songs_without_faults": 2, "song_accuracy_without_faults": 1.0,
        "songs_filtered": 2, "song_accuracy_filtered": 0.5,
    }  # fmt: skip
    line = k.sentence({"songs": 4, "song_accuracy": 0.75, **counts})
    assert line == (
        "all songs 0.750 (4), 1.000 (2 songs without known faults), "
        "0.500 (2 songs of the fault-filtered lists)"
    )
    assert "above 94.5 %" in k.sentence({"songs": 4, "song_accuracy": 0.946, **counts})
    assert "above" not in k.sentence({"songs": 4, "song_accuracy": 0.944, **counts})
    assert k.sentence({"songs": 4, "song_accuracy": 1.0}) == ""  # not of GTZAN


def test_hard_songs_are_wrong_in_most_runs_that_tested_them():
    runs = [
        answered({"jazz.1": "pop", "pop.2": "pop", "rock.3": "jazz"}),
        answered({"jazz.1": "pop", "pop.2": "rock", "rock.3": "rock"}),
        pd.concat([answered({"jazz.1": "rock"}), answered({"rock.5": "pop"}, "valid")]),
    ]
    hard = k.hard_songs(runs, lambda song: FAULTS.get(song, ""))
    assert list(hard.table["song"]) == ["jazz.1", "rock.5"]  # half is not most
    assert list(hard.table.iloc[0])[1:5] == ["jazz", 3, 1.0, "pop"]
    assert (hard.runs, hard.songs, hard.faulty) == (3, 4, 2)
    text = hard.text()
    assert "1 of these 2 and 1 of the 2 others have a known fault" in text
    assert "none known" in text.splitlines()[-1]


@pytest.fixture
def store(tmp_path):
    """Runs that count, and others that do not."""
    track = TrackSettings(folder=str(tmp_path), uri="local")
    client = mlflow.MlflowClient(store_uri(track))
    experiment = client.create_experiment(track.experiment, f"file://{tmp_path}/artifacts")
    wrong = answered({"jazz.00054": "pop"})
    right = answered({"jazz.00054": "jazz"})
    told = [  # the oldest first; the second repeats the first
        (right, {}), (wrong, {}), (right, {"warning": "LEAKY", "recipe": "r2"}),
        (right, {"mlflow.parentRunId": "sweep", "recipe": "r3"}), (wrong, {"seed": "1"}),
    ]  # fmt: skip
    for table, over in told:
        tags = {key: v for key, v in run("", **over).items() if isinstance(v, str)}
        run_id = client.create_run(experiment, tags=tags).info.run_id
        client.log_text(run_id, table.to_csv(index=False), "predictions.csv")
        client.set_terminated(run_id)
    return tmp_path


def test_the_command_counts_each_honest_run_once(store, capsys):
    flags = ["--track.folder", str(store), "--track.uri", "local"]
    hard.main([*flags, "--out", str(store / "hard.csv")])
    printed = capsys.readouterr().out
    assert "1 of 1 songs are wrong in most of their runs (2 runs)" in printed
    table = pd.read_csv(store / "hard.csv")
    assert list(table.iloc[0]) == [
        "jazz.00054", "jazz", 2, 1.0, "pop", "unreadable header in the Kaggle copy",
    ]  # fmt: skip
