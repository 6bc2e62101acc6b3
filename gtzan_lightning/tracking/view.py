"""The table of runs on MLflow's page, with the columns that a comparison needs.

MLflow keeps a view that is shared as a tag of the experiment: a name, two times, and the page's own
state as JSON (3.17; found in its JavaScript, as its documentation does not say). A link names it.
"""

import json
import shlex
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import mlflow

from gtzan_lightning.files import digest
from gtzan_lightning.recipe.settings import TrackSettings
from gtzan_lightning.terminal import shown
from gtzan_lightning.tracking.access import reading_client
from gtzan_lightning.tracking.place import store_uri

NAME = "scores"  # in the page's menu of views
ENDS = ("", "_low", "_high")
# column -> its width in pixels; one that no run has yet is left out by the page, which shows the
# status of a run as a sign beside its time
COLUMNS = {
    **{f"tags.`{name}`": width for name, width in (("model", 130), ("protocol", 200))},
    **{
        f"metrics.`final/{part}/song_accuracy{end}`": 220
        for part in ("valid", "test")
        for end in ENDS
    },
    **{f"tags.`{name}`": 70 for name in ("seed", "fold")},
    "metrics.`minutes`": 90,
}
STATE: dict[str, Any] = {
    "selectedColumns": list(COLUMNS),
    "columnOrder": list(COLUMNS),
    "columnWidths": COLUMNS,
    "orderByKey": "attributes.start_time",
    "orderByAsc": False,
}
KEY = f"gtzan-{digest(json.dumps(STATE).encode())}"


def keep_view(client: mlflow.MlflowClient, experiment: str) -> None:
    """Keep the view in an experiment, unless it is there: somebody may have changed it."""
    tag = f"mlflow.sharedViewState.{KEY}"
    if tag in client.get_experiment(experiment).tags:
        return
    now = int(time.time() * 1000)
    view = {"name": NAME, "createdAt": now, "updatedAt": now, "state": json.dumps(STATE)}
    client.set_experiment_tag(experiment, tag, json.dumps(view))


def page_of_runs(track: TrackSettings) -> str:
    """Where to see the runs: a link, after the command that serves it where no server does."""
    uri = store_uri(track)
    with reading_client(track) as client:
        experiment = client.get_experiment_by_name(track.experiment)
    assert experiment is not None, "it has runs"
    view = f"/#/experiments/{experiment.experiment_id}/runs?viewStateShareKey={KEY}"
    view += "&workflowType=machine_learning"
    if uri.startswith("http"):
        parts = urlsplit(uri)  # without the password that may stand in it
        place = parts.netloc.rpartition("@")[2] + parts.path.rstrip("/")
        return f"all runs: {parts.scheme}://{place}{view}"
    local = f"sqlite:///{Path(track.folder) / 'mlflow.db'}"
    is_local = uri == store_uri(track.model_copy(update={"uri": "local"}))
    command = f"mlflow ui --backend-store-uri {shlex.quote(local if is_local else shown(uri))}"
    return f"all runs: {command}\n  then http://127.0.0.1:5000{view}"
