"""experiments/compare.py: it starts without torch, and prints what it wrote."""

import math
import subprocess
import sys
from pathlib import Path

import mlflow
import pandas as pd
import pytest
from conftest import run

from experiments.compare import main
from gtzan_lightning.errors import UserError
from gtzan_lightning.recipe.settings import TrackSettings
from gtzan_lightning.tracking.reading import store_uri

ROOT = Path(__file__).parent.parent
HEAVY = ("torch", "lightning", "torchmetrics", "matplotlib", "mlflow.pytorch")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A store with two finished runs of one table, with predictions."""
    folder = tmp_path_factory.mktemp("mlruns")
    track = TrackSettings(folder=str(folder), uri="local")
    client = mlflow.MlflowClient(store_uri(track))
    experiment = client.create_experiment(track.experiment, f"file://{folder}/artifacts")
    for model, right in (("cnn", 0.9), ("knn", 0.2)):
        columns = run("", model=model, recipe=f"of_{model}")
        tags = {k: v for k, v in columns.items() if isinstance(v, str)}
        run_id = client.create_run(experiment, tags=tags).info.run_id
        for name, value in columns.items():
            if not isinstance(value, str):
                client.log_metric(run_id, name, value)
        logs = f"{math.log(right):.6f},{math.log(1 - right):.6f}"
        rows = [f"test,s{n},0.0,jazz,{logs}" for n in range(8)]
        table = "\n".join(["part,song,start,genre,jazz,rock", *rows])
        client.log_text(run_id, table, "predictions.csv")
        client.set_terminated(run_id)
    return folder


def test_nothing_of_it_imports_torch(folder, tmp_path):
    code = (
        "import sys; from experiments.compare import main; main(sys.argv[1:]);"
        f"sys.exit(str([name for name in {HEAVY} if name in sys.modules] or '') or 0)"
    )
    asked = ["--out", str(tmp_path), "--html", str(tmp_path / "page.html")]
    for flags in ([*asked, "--latex", str(tmp_path / "table.tex")], ["cnn", "knn"]):
        command = [sys.executable, "-c", code, "--track.folder", str(folder), *flags]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    assert "cnn is better than knn on these 8 songs" in done.stdout


def test_a_table_that_was_written_is_printed_without_its_runs(folder, tmp_path, capsys):
    main(["--track.folder", str(folder), "--track.uri", "local", "--out", str(tmp_path / "out")])
    printed = capsys.readouterr().out
    main(["--table", str(tmp_path / "out" / "compare-1.csv")])
    again = capsys.readouterr().out
    assert printed.startswith(again)
    assert again == (tmp_path / "out" / "compare-1.md").read_text()
    assert sum(line.startswith(("| cnn", "| knn")) for line in again.splitlines()) == 2
    with pytest.raises(UserError, match="one system can't be compared"):
        main(["cnn"])


def test_a_comparison_is_written_with_what_it_was_measured_on(folder, tmp_path, capsys):
    store = ["--track.folder", str(folder), "--track.uri", "local"]
    main(["cnn", "knn", *store, "--out", str(tmp_path)])
    printed = capsys.readouterr().out
    written = (tmp_path / "comparison.md").read_text()
    assert written in printed
    assert "the test part of gtzan, filtered" in written
    row = pd.read_csv(tmp_path / "comparison.csv").iloc[0]
    assert (row["first"], row["second"], row["songs"], row["difference"]) == ("cnn", "knn", 8, 1)
    assert "the test part of gtzan, filtered" in row["measured on"]
    page, table = tmp_path / "page.html", tmp_path / "table.tex"
    main(["cnn", "knn", *store, "--html", str(page), "--latex", str(table)])
    for text in (page.read_text(), table.read_text().replace("\\", "")):
        assert "the test part of gtzan, filtered" in text
        assert "+1.000" in text


def test_systems_vote_together(folder, capsys):
    main(["--ensemble", "cnn", "knn", "--track.folder", str(folder)])
    lines = capsys.readouterr().out.splitlines()
    # probabilities of jazz 0.9 and 0.2: together 0.6
    assert lines[:3] == [
        "cnn: 1.000, 1 run, 8 songs",
        "knn: 0.000, 1 run, 8 songs",
        "all 2: 1.000, 1 run, 8 songs",
    ]
    assert any(line.startswith("all 2 is better than knn") for line in lines)
    for flags, said in ((["cnn"], "one system"), (["cnn", "knn", "--ensemble", "a", "b"], "leave")):
        with pytest.raises(UserError, match=said):
            main([*flags, "--track.folder", str(folder)])
