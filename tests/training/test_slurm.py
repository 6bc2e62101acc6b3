"""The scripts of experiments/slurm: what they would start, and a real SLURM where one runs."""

import os
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import quick_flags

from gtzan_lightning.recipe.command_line import LAST, parse_run, parse_series
from gtzan_lightning.recipe.settings import TrackSettings
from gtzan_lightning.tracking.reading import runs_table
from gtzan_lightning.training.series import own_share

ROOT = Path(__file__).parents[2]
SCRIPTS = ROOT / "experiments" / "slurm"
JOB = {
    "SLURM_JOB_ID": "7",
    "SLURM_JOB_NUM_NODES": "2",
    "SLURM_NTASKS_PER_NODE": "4",
    "SLURM_CPUS_PER_TASK": "3",
}


@pytest.fixture
def stub(tmp_path, monkeypatch):
    """srun and scontrol that only print their words; a job's variables."""
    for name, after in (("srun", "${STUB_SECONDS:+sleep $STUB_SECONDS}"), ("scontrol", "")):
        file = tmp_path / "bin" / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(f'#!/bin/bash\nprintf "%s\\n" {name} "$@"\n{after}\n')
        file.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    for name in [name for name in os.environ if name.startswith("SLURM_")]:
        monkeypatch.delenv(name)
    for name, value in JOB.items():
        monkeypatch.setenv(name, value)


def command(script: str, *flags: str, **more: str) -> list[str]:
    """The words that srun would get."""
    done = subprocess.run(
        ["bash", str(SCRIPTS / script), *flags],
        cwd=ROOT, env={**os.environ, **more}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    said = done.stdout.splitlines()
    assert said[:3] == ["srun", "--cpus-per-task=3", "--kill-on-bad-exit=1"]
    assert said[3] == ".venv/bin/python"
    return said[4:]


@pytest.mark.parametrize("script", sorted([*SCRIPTS.glob("*.sh"), *ROOT.glob("tests/*.sh")]))
def test_scripts_are_bash(script):
    subprocess.run(["bash", "-n", str(script)], check=True)
    if shutil.which("shellcheck"):
        subprocess.run(["shellcheck", str(script)], check=True)


@pytest.mark.parametrize("script", ["train.sh", "sweep.sh"])
def test_jobs_ask_for_a_signal_to_the_batch_shell_and_for_requeueing(script):
    text = (SCRIPTS / script).read_text()
    for option in ("--requeue", "--open-mode=append", "--signal=B:USR1@120"):
        assert f"#SBATCH {option}\n" in text


def test_a_training_has_one_process_for_each_task_and_resumes_when_requeued(stub):
    words = command("train.sh", "--model", "bigru", "--fit.max_epochs", "3")
    assert words[0] == "experiments/run.py"
    recipe, resume = parse_run(words[1:])
    assert (recipe.fit.num_nodes, recipe.fit.devices) == (2, "4")
    assert (recipe.model.name, recipe.fit.max_epochs, resume) == ("bigru", 3, LAST)


def test_an_array_covers_seeds_and_folds_once(stub, monkeypatch):
    flags = (
        "--model",
        "bigru",
        "--data.split",
        "kfold",
        "--seeds",
        "0",
        "1",
        "2",
        "--folds",
        "all",
    )
    series = parse_series(command("train.sh", *flags, SLURM_ARRAY_JOB_ID="7")[1:])
    assert series.resume == LAST
    of_tasks: list[int] = []
    for task in range(4):
        monkeypatch.setenv("SLURM_ARRAY_TASK_ID", str(task))
        monkeypatch.setenv("SLURM_ARRAY_TASK_COUNT", "4")
        of_tasks += own_share(len(series.recipes))
    assert sorted(of_tasks) == list(range(15))


def test_a_worker_of_a_sweep_is_started_with_known_flags(stub):
    space = str(ROOT / "experiments" / "recipes" / "spaces" / "small_cnn.yaml")
    words = command("sweep.sh", "--model", "small_cnn", "--space", space, "--trials", "9")
    assert words[0] == "experiments/sweep.py"
    assert words[-1] == "--worker"
    asked = [sys.executable, *words, "--help"]
    said = subprocess.run(asked, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    assert all(flag in said for flag in ("--worker", "--space", "--trials"))


PAGE = (ROOT / "docs" / "clusters.md").read_text().splitlines()


@pytest.mark.parametrize("line", [line for line in PAGE if "sbatch " in line])
def test_commands_of_the_page_start_something_known(stub, line):
    words = shlex.split(line)
    given = dict(word.split("=") for word in words[: words.index("sbatch")])
    (at,) = (n for n, word in enumerate(words) if word.endswith(".sh"))
    task = {"SLURM_ARRAY_JOB_ID": "7", "SLURM_ARRAY_TASK_ID": "8"}
    said = command(Path(words[at]).name, *words[at + 1 :], **given, **task)
    if said[0] == "experiments/run.py":
        assert parse_run(said[1:])[1] == LAST
    else:
        subprocess.run([sys.executable, *said, "--help"], cwd=ROOT, check=True, capture_output=True)


@pytest.mark.parametrize(("task", "asked_for"), [(None, "7"), ("3", "7_3")])
def test_the_signal_requeues_this_task_alone_and_waits_for_its_end(stub, task, asked_for):
    more = {"SLURM_ARRAY_JOB_ID": "7", "SLURM_ARRAY_TASK_ID": task} if task else {}
    with subprocess.Popen(
        ["bash", str(SCRIPTS / "preemptible.sh"), "training"],
        env={**os.environ, **more, "STUB_SECONDS": "1"}, stdout=subprocess.PIPE, text=True,
    ) as job:  # fmt: skip
        assert job.stdout is not None
        while job.stdout.readline() != "training\n":
            pass
        time.sleep(0.2)
        job.send_signal(10)  # SIGUSR1
        assert job.stdout.read().split() == ["scontrol", "requeue", asked_for]
    assert job.returncode == 0


@pytest.fixture
def cluster():
    """A SLURM that answers, such as tests/one_node_slurm.sh starts."""
    answers = shutil.which("sinfo") and subprocess.run(["sinfo"], capture_output=True, timeout=20)
    if not answers or answers.returncode:
        pytest.skip("no SLURM answers here: bash tests/one_node_slurm.sh start")
    if not (ROOT / ".venv").exists():
        pytest.skip("the jobs need .venv (make env)")


def test_a_preempted_job_ends_in_the_same_mlflow_run(cluster, packed, tmp_path):
    log = tmp_path / "job.out"
    job = subprocess.run(
        ["sbatch", "--parsable", "--cpus-per-task=1", f"--output={log}", SCRIPTS / "train.sh",
         *quick_flags(packed, tmp_path), "--fit.max_epochs", "30", "--track.log_model", "false"],
        cwd=ROOT, check=True, capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    ).stdout.strip()  # fmt: skip
    try:
        wait_for(lambda: log.exists() and "\nepoch 2/" in log.read_text())
        subprocess.run(["scancel", "--signal=USR1", "--batch", job], check=True)
        wait_for(lambda: "COMPLETED" in said_of(job))
    finally:
        subprocess.run(["scancel", job], capture_output=True)
    assert "Restarts=1" in said_of(job)
    assert "resumes" in log.read_text()
    epochs = [line.split(":")[0] for line in log.read_text().splitlines() if line[:6] == "epoch "]
    assert epochs == [f"epoch {n}/30" for n in range(1, 31)]
    runs = runs_table(TrackSettings(folder=str(tmp_path / "mlruns"), uri="local"))
    assert list(runs["status"]) == ["FINISHED"]


def said_of(job: str) -> str:
    shown = subprocess.run(["scontrol", "show", "job", job], capture_output=True, text=True)
    return shown.stdout


def wait_for(happened, seconds: float = 180) -> None:
    end = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < end
        time.sleep(0.3)
