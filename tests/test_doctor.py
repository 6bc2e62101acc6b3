"""``gtzan doctor``: it says what is missing, whatever is broken, and changes nothing."""

import socket
import tomllib
from pathlib import Path

import huggingface_hub
import pytest

from experiments import doctor
from gtzan_lightning.doctor import checks

ROOT = Path(__file__).parent.parent


@pytest.fixture
def ask(tmp_path, monkeypatch, capsys):
    """Runs the command in an empty folder; returns its status and its lines by what they say."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setattr(checks, "FRAGILE", ("numpy",))  # the true ones take seconds

    def run(*flags: str) -> tuple[int, str]:
        status = doctor.main(list(flags) or ["--offline"])
        said = capsys.readouterr().out
        assert max(map(len, said.splitlines())) <= 80
        return status, " ".join(said.split())

    return run


def test_an_empty_folder_is_enough_for_a_run(ask, tmp_path):
    status, said = ask()
    assert status == 0
    assert "missing music no GTZAN at data/gtzan" in said
    assert "mend: gtzan data" in said
    assert "ok store none yet" in said
    assert "flac" in said
    assert "problem" not in said
    assert list(tmp_path.iterdir()) == []


def test_music_and_runs_are_counted(ask, gtzan_copy, checkpoint):
    folder = Path(checkpoint).parents[2]
    status, said = ask("--offline", "--data.root", str(gtzan_copy), "--track.folder", str(folder))
    assert status == 0
    assert "60 of 1,000 songs can be opened (940 missing)" in said
    assert "1 run, 1 finished, of experiment gtzan_lightning in sqlite:" in said


def test_what_a_run_would_stumble_over_is_a_problem(ask, tmp_path):
    (tmp_path / "mlruns").mkdir()
    (tmp_path / "mlruns" / "mlflow.db").write_bytes(b"no database, but long enough to be one" * 99)
    (tmp_path / "data").write_text("a file")
    status, said = ask("--offline", "--data.root", "none")
    assert status == 1
    assert "problem store the runs' database" in said
    assert "mlflow.db is damaged (file is not a database): bring back a copy of it" in said
    assert "problem disk data/packed can't be written to" in said
    assert "problem music there is no GTZAN at none" in said


def test_libraries_and_extras_are_held_against_what_is_declared(ask, monkeypatch):
    declared = ["numpy>=99", "nowhere-to-be-had", 'kagglehub>=99; extra == "kaggle"']
    declared += ['numpy; extra == "tag"', 'nowhere-to-be-had; sys_platform == "other"']
    monkeypatch.setattr(checks, "requires", lambda name: declared)
    status, said = ask()
    assert status == 1
    assert "problem libraries numpy" in said
    assert "mend: pip install 'numpy>=99'" in said
    assert said.count("nowhere-to-be-had is not installed") == 1
    assert "ok extras tag" in said
    assert "missing extras kaggle, for gtzan data --from kaggle" in said
    assert "pip install -e '.[kaggle]'" in said


def test_nothing_that_is_broken_stops_it(ask, monkeypatch):
    def broken(asked):
        raise OSError("undefined\nsymbol")

    looks = {**dict.fromkeys(checks.LOOKS, broken), "disk": checks.LOOKS["disk"]}
    monkeypatch.setattr(checks, "LOOKS", looks)
    status, said = ask()
    assert status == 1
    assert "problem libraries can't be looked at: OSError undefined symbol" in said
    assert "missing gpu can't be looked at" in said
    assert "ok disk" in said


def test_a_library_whose_import_fails_is_named(ask, monkeypatch):
    monkeypatch.setattr(checks, "FRAGILE", ("numpy", "no_such_library"))
    status, said = ask()
    assert status == 1
    assert "import no_such_library fails: ModuleNotFoundError" in said


def test_the_hub_is_asked_unless_offline(ask, monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"http://127.0.0.1:{server.getsockname()[1]}"
        monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", address)
        assert "ok hub" in ask("--track.folder", "mlruns")[1]
    status, said = ask("--track.folder", "mlruns")
    assert status == 0
    assert "missing hub the Hugging Face hub can't be reached" in said
    assert "the Hugging Face hub" not in ask("--offline")[1]


def test_every_extra_is_explained():
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert set(checks.SERVES) == set(declared["optional-dependencies"])
