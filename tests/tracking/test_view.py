"""The view of the runs on MLflow's page."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request

import pytest

from gtzan_lightning.recipe.settings import TrackSettings
from gtzan_lightning.tracking.place import store_uri
from gtzan_lightning.tracking.tracker import Tracker
from gtzan_lightning.tracking.view import KEY, page_of_runs

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


def recorded(track: TrackSettings) -> Tracker:
    tracker = Tracker(track)
    tracker.start("a run", {"model": "small_cnn", "protocol": "filtered", "seed": "0"})
    with tracker.recording(with_system_metrics=False):
        scores = {"song_accuracy": 0.6, "song_accuracy_low": 0.5, "song_accuracy_high": 0.7}
        tracker.log_metrics({f"final/valid/{name}": value for name, value in scores.items()})
        tracker.log_metrics({"minutes": 2.0, "watch/learning_rate": 0.1})
        tracker.log_description("**valid: song accuracy 0.600**\n\n| genre |\n|---|\n| jazz |\n")
    return tracker


def test_a_view_that_somebody_changed_stays(tmp_path):
    track = TrackSettings(folder=str(tmp_path / "mlruns"), uri="local")
    client = recorded(track).client
    experiment = client.get_experiment_by_name(track.experiment)
    tag = f"mlflow.sharedViewState.{KEY}"
    assert tag in experiment.tags
    client.set_experiment_tag(experiment.experiment_id, tag, "mine")
    recorded(track)
    assert client.get_experiment(experiment.experiment_id).tags[tag] == "mine"
    command, address = page_of_runs(track).splitlines()
    assert command.endswith(f"mlflow ui --backend-store-uri sqlite:///{tmp_path}/mlruns/mlflow.db")
    assert f"/#/experiments/{experiment.experiment_id}/runs?viewStateShareKey={KEY}" in address


def shown_columns(page) -> list[str]:
    """Names of the columns that have one, from left to right."""
    columns = page.locator("[role=columnheader][col-id*='.`']").all()
    columns.sort(key=lambda column: column.bounding_box()["x"])
    return [column.get_attribute("col-id").split("`")[1] for column in columns]


@pytest.mark.many
def test_the_link_opens_the_columns_and_the_run_its_summary(tmp_path, monkeypatch):
    playwright = pytest.importorskip("playwright.sync_api")
    if not CHROMIUM:
        pytest.skip("no chromium on this machine")
    local = TrackSettings(folder=str(tmp_path / "mlruns"), uri="local")
    recorded(local)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        uri = f"http://127.0.0.1:{free.getsockname()[1]}"
    server = subprocess.Popen(
        [sys.executable, "-m", "mlflow", "server", "--workers", "1",
         "--port", uri.rpartition(":")[2], "--backend-store-uri", store_uri(local)],
        env={**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
        start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        for _ in range(240):
            try:
                urllib.request.urlopen(f"{uri}/health").close()
                break
            except OSError:
                assert server.poll() is None
                time.sleep(0.5)
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri.replace("://", "://me:secret@"))
        link = page_of_runs(TrackSettings())
        assert link.startswith(f"all runs: {uri}/#/")
        with playwright.sync_playwright() as run:
            browser = run.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
            page = browser.new_page(viewport={"width": 2600, "height": 900})
            page.goto(link.removeprefix("all runs: "))
            headers = page.locator("[role=columnheader][col-id^=metrics]")
            headers.first.wait_for(timeout=60_000)
            wanted = [
                "Run Name", "model", "protocol", "final/valid/song_accuracy",
                "final/valid/song_accuracy_low", "final/valid/song_accuracy_high", "seed",
                "minutes",
            ]  # fmt: skip
            for _ in range(40):  # the page moves its columns when all are there
                if shown_columns(page) == wanted:
                    break
                time.sleep(0.5)
            assert shown_columns(page) == wanted
            page.get_by_role("link", name="a run").first.click()
            page.locator("strong", has_text="valid: song accuracy 0.600").wait_for()
            page.locator("td", has_text="jazz").wait_for()
            browser.close()
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait()
