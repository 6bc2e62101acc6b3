"""What --resume meets when something changed meanwhile, and limits of the machine in mid-run."""

import errno
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import soundfile
import torch
from conftest import RATE, quick_flags

from gtzan_lightning.data.synthetic import render
from gtzan_lightning.errors import UserError, refused
from gtzan_lightning.recipe.command_line import guarded, parse_run
from gtzan_lightning.recipe.recipes import Recipe
from gtzan_lightning.tracking.reading import runs_table
from gtzan_lightning.tracking.run_folder import stopwatch
from gtzan_lightning.training import train as training
from gtzan_lightning.training.train import train

ROOT = Path(__file__).parents[2]


def interrupted(recipe: Recipe) -> str:
    """The id of a run that was stopped in its second epoch."""
    begin = training.GenreClassifier.on_train_epoch_start

    def interrupt(self):
        begin(self)
        if self.current_epoch == 1:
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training.GenreClassifier, "on_train_epoch_start", interrupt)
        with pytest.raises(KeyboardInterrupt):
            train(recipe)
    return str(runs_table(recipe.track)["run_id"][0])


@pytest.fixture(scope="module")
def stopped(tmp_path_factory, packed) -> tuple[Recipe, str, Path]:
    """A recipe of songs in folders, its interrupted run, and its songs."""
    folder = tmp_path_factory.mktemp("stopped")
    songs = folder / "songs"
    for genre in ("blues", "jazz"):
        (songs / genre).mkdir(parents=True)
        for number in range(6):
            wave = render(genre, number, 0, 4.0, RATE)
            soundfile.write(songs / genre / f"{genre}{number}.wav", wave, RATE)
    flags = quick_flags(packed, folder)
    flags[flags.index("--data.corpus") + 1] = "folder"
    recipe, _ = parse_run([*flags, "--data.root", str(songs), "--track.log_model", "false"])
    return recipe, interrupted(recipe), songs


def of_other(file: Path) -> None:
    content = torch.load(file, weights_only=True)
    content["gtzan_lightning"]["recipe"]["fit"]["learning_rate"] = 0.5
    torch.save(content, file)


def of_weights(file: Path) -> None:
    content = torch.load(file, weights_only=True)
    del content["optimizer_states"], content["loops"]
    torch.save(content, file)


def of_newer(file: Path) -> None:
    content = torch.load(file, weights_only=True)
    content["gtzan_lightning"] |= {"format": 99, "version": "9.9"}
    torch.save(content, file)


OTHERS: dict[Callable[[Path], object], str] = {
    of_other: "is of another recipe or other songs",
    of_weights: "has weights alone, of no training",
    of_newer: r"made by gtzan_lightning 9\.9",
    lambda file: file.write_text("a text"): "can't be read",
    lambda file: os.truncate(file, file.stat().st_size // 2): "can't be read",
}


@pytest.mark.parametrize("spoil", OTHERS)
def test_a_last_checkpoint_of_another_kind_is_said_and_nothing_is_lost(stopped, spoil):
    recipe, run, _ = stopped
    last = Path(recipe.track.folder) / "runs" / run / "last.ckpt"
    whole = last.read_bytes()
    spoil(last)
    spoiled = last.read_bytes()
    with pytest.raises(UserError, match=rf"{OTHERS[spoil]}.* remove .*last\.ckpt") as caught:
        train(recipe, run)
    assert "\n" not in str(caught.value)
    assert last.read_bytes() == spoiled
    assert list(runs_table(recipe.track)["status"]) == ["FAILED"]
    last.write_bytes(whole)


def another_sound(songs: Path) -> None:
    soundfile.write(songs / "jazz" / "jazz0.wav", render("jazz", 99, 0, 4.0, RATE), RATE)


@pytest.mark.parametrize(
    "change",
    [
        another_sound,
        lambda songs: (songs / "jazz" / "jazz0.wav").unlink(),
        lambda songs: (songs / "jazz").rename(songs / "rock"),
    ],
)
def test_songs_that_changed_since_are_never_trained_on(stopped, change, tmp_path):
    recipe, run, songs = stopped
    shutil.copytree(songs, tmp_path / "kept")
    change(songs)
    with pytest.raises(UserError, match="trained on other songs than are here now: bring them"):
        train(recipe, run)
    shutil.rmtree(songs)
    shutil.copytree(tmp_path / "kept", songs)


def test_a_run_is_completed_in_a_folder_of_another_name_with_notes_that_are_not_whole(
    stopped, tmp_path
):
    """As a machine that went down leaves files empty; MLflow changes no parameter of a run."""
    recipe, run, _ = stopped
    link = tmp_path / "elsewhere"
    link.symlink_to(recipe.track.folder)
    folder = link / "runs" / run
    for name in ("minutes", "records.sent"):
        (folder / name).write_bytes(b"")
    other, _ = parse_run(["--resume", run, "--track.folder", str(link)])
    assert train(other, run).run_id == run
    assert list(runs_table(recipe.track)["status"]) == ["FINISHED"]
    with stopwatch(folder, False) as minutes:
        assert minutes() > 0


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "x"), r"left on device \(x\): make room"),
        (OSError(errno.EFBIG, "File too large"), "ulimit -f"),
        (OSError(errno.EMFILE, "Too many open files"), "ulimit -n"),
        (MemoryError(), "no memory left"),
        (ImportError("x.so: failed to map segment from shared object"), "no memory left"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: ..."), "no memory left"),
        (RuntimeError("DataLoader worker (pid 7) is killed by signal: Bus error."), "workers 0"),
    ],
)
def test_a_limit_of_the_machine_is_one_line_and_names_the_run(
    stopped, quick, monkeypatch, capsys, error, said
):
    def refuse(*args: object) -> None:
        raise error

    monkeypatch.setattr(training, "_train_network", refuse)
    with pytest.raises(UserError, match=rf"{said}.* resume the run with --resume [0-9a-f]+$"):
        train(quick())
    monkeypatch.setattr(sys, "argv", ["gtzan"])
    with pytest.raises(SystemExit, match="2"):
        guarded(refuse)
    assert capsys.readouterr().err.count("\n") == 1


def test_an_error_of_the_program_is_no_limit():
    assert refused(RuntimeError("size mismatch")) is None
    assert refused(FileNotFoundError(errno.ENOENT, "No such file")) is None


@pytest.mark.many
@pytest.mark.parametrize(
    ("limit", "value"),
    [
        (resource.RLIMIT_FSIZE, 20_000), (resource.RLIMIT_FSIZE, 500_000),
        (resource.RLIMIT_FSIZE, 800_000), (resource.RLIMIT_NOFILE, 24),
        (resource.RLIMIT_NOFILE, 40),
    ],
)  # fmt: skip
def test_a_run_under_a_limit_ends_in_one_line_and_is_resumed_without_it(tmp_path, limit, value):
    flags = [*quick_flags(tmp_path / "packed", tmp_path), "--resume", "last"]
    command = [sys.executable, str(ROOT / "experiments" / "run.py"), *flags]
    done = subprocess.run(
        command, capture_output=True, text=True,
        preexec_fn=lambda: resource.setrlimit(limit, (value, value)),
    )  # fmt: skip
    assert done.returncode in (0, 2), done.stderr
    assert "Traceback" not in done.stderr
    again = subprocess.run(command, capture_output=True, text=True)
    assert again.returncode == 0, again.stderr
    runs = runs_table(parse_run(flags[:-2])[0].track)
    assert set(runs["status"]) == {"FINISHED"}
