"""What a run needs, what else would be of use, and how to have it. No check changes anything."""

import importlib
import os
import platform
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Literal

from packaging.requirements import Requirement

from gtzan_lightning.errors import UserError, in_a_line
from gtzan_lightning.recipe.settings import DataSettings, TrackSettings

Mark = Literal["ok", "missing", "problem"]
PACKAGE = "gtzan-lightning"
# these break at import where they do not fit one another; the others have no parts of C++ in common
FRAGILE = ("torch", "torchaudio", "torchvision", "lightning", "mlflow", "timm")
SERVES = {
    "gpu": "MLflow's GPU metrics",
    "sweep": "gtzan sweep",
    "web": "gtzan app",
    "tag": "gtzan tag --write-tags",
    "server": "stores on PostgreSQL",
    "onnx": "gtzan export to ONNX",
    "ray": "gtzan tag --ray",
    "encoders": "--model encoder",
    "kaggle": "gtzan data --from kaggle",
    "tensorboard": "--track.also tensorboard",
    "wandb": "--track.also wandb",
    "dev": "the tests",
}


@dataclass(frozen=True)
class Check:
    """A line of the table.

    Attributes:
        mark: ``missing`` is of use, but no run needs it; with a ``problem`` runs fail.
        mend: what to do; empty where nothing is to be done.
    """

    mark: Mark
    what: str
    state: str
    mend: str = ""


@dataclass(frozen=True)
class Asked:
    """What the checks are about."""

    data: DataSettings
    track: TrackSettings
    offline: bool = False


def checks(asked: Asked) -> Iterator[Check]:
    """All checks, one after the other; what breaks one of them is its answer."""
    for what, look in LOOKS.items():
        try:
            yield from look(asked)
        except UserError as error:
            yield Check("problem", what, str(error))
        except Exception as error:  # whatever is broken here is what the user wants to know
            mark: Mark = "problem" if what in NEEDED else "missing"
            yield Check(mark, what, f"can't be looked at: {_reason(error)}")


def _python(asked: Asked) -> Iterator[Check]:
    shown = [f"{name} {version(name)}" for name in FRAGILE if _has(name)]
    state = f"{platform.python_version()}; {PACKAGE} {version(PACKAGE)}, {', '.join(shown)}"
    yield Check("ok", "python", state)


def _libraries(asked: Asked) -> Iterator[Check]:
    needed = [wanted for extra, wanted in _requirements() if not extra]
    for wanted in needed:
        if wrong := _wrong(wanted):
            yield Check("problem", "libraries", wrong, f"pip install '{wanted}'")
    for name in FRAGILE:
        try:
            importlib.import_module(name)
        except Exception as error:  # such as an undefined symbol of another build
            mend = "make the environment anew: make env, or pip install -c constraints.txt -e ."
            yield Check("problem", "libraries", f"import {name} fails: {_reason(error)}", mend)
            return
    yield Check("ok", "libraries", f"all {len(needed)} that a run needs")


def _extras(asked: Asked) -> Iterator[Check]:
    wrong: dict[str, list[str]] = {}
    for extra, wanted in _requirements():
        if extra:
            wrong.setdefault(extra, []).extend(filter(None, [_wrong(wanted)]))
    if whole := [extra for extra, lacks in wrong.items() if not lacks]:
        yield Check("ok", "extras", ", ".join(whole))
    for extra, lacks in wrong.items():
        if lacks:
            state = f"{extra}, for {SERVES.get(extra, extra)}: {', '.join(lacks)}"
            yield Check("missing", "extras", state, f"pip install -e '.[{extra}]'")


def _machine(asked: Asked) -> Iterator[Check]:
    import psutil

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    memory = psutil.virtual_memory()
    free, total = memory.available / 1e9, memory.total / 1e9
    yield Check("ok", "machine", f"{cores} cores, {free:.1f} of {total:.1f} GB of memory free")


def _gpu(asked: Asked) -> Iterator[Check]:
    import torch

    for number in range(torch.cuda.device_count() if torch.cuda.is_available() else 0):
        of_gpu = torch.cuda.get_device_properties(number)
        yield Check("ok", "gpu", f"{of_gpu.name}, {of_gpu.total_memory / 1e9:.0f} GB")
    if torch.cuda.is_available():
        return
    if torch.backends.mps.is_available():
        yield Check("ok", "gpu", "Apple's, by MPS")
    elif shutil.which("nvidia-smi"):
        state = f"nvidia-smi is here, but torch {torch.__version__} can use no GPU"
        yield Check("missing", "gpu", state, "see what nvidia-smi says; the driver may be too old")
    else:
        yield Check("missing", "gpu", "none: networks train on the CPU; small_cnn is made for that")


def _disk(asked: Asked) -> Iterator[Check]:
    from gtzan_lightning.tracking.reading import ROOM

    folders = {"data.packed": asked.data.packed, "track.folder": asked.track.folder}
    for setting, folder in folders.items():
        whole = Path(folder).resolve()
        there = next(place for place in (whole, *whole.parents) if place.exists())
        free = shutil.disk_usage(there).free
        state = f"{free / 1e9:.1f} GB free at {folder}"
        if not (there.is_dir() and os.access(there, os.W_OK)):
            state = f"{folder} can't be written to"
        elif free >= ROOM:
            yield Check("ok", "disk", state)
            continue
        yield Check("problem", "disk", state, f"make room, or name another folder with {setting}")


def _store(asked: Asked) -> Iterator[Check]:
    from gtzan_lightning.terminal import shown
    from gtzan_lightning.tracking.reading import has_store, runs_table, store_uri

    uri = shown(store_uri(asked.track))
    if not has_store(asked.track):
        yield Check("ok", "store", f"none yet: the first run makes it in {asked.track.folder}")
        return
    try:
        runs = runs_table(asked.track)
    except UserError:
        raise
    except Exception as error:  # of MLflow, SQLAlchemy or the database
        state = f"{uri} can't be read: {shown(_reason(error))}"
        mend = "repair it, move it away, or name another with track.folder or track.uri"
        yield Check("problem", "store", state, mend)
        return
    ended = int((runs["status"] == "FINISHED").sum()) if len(runs) else 0
    counted = f"{len(runs)} run{'s' * (len(runs) != 1)}, {ended} finished"
    yield Check("ok", "store", f"{counted}, of experiment {asked.track.experiment} in {uri}")


def _music(asked: Asked) -> Iterator[Check]:
    from gtzan_lightning.data.catalogue import gtzan_ids, summary
    from gtzan_lightning.data.corpora import CORPORA, Catalogue
    from gtzan_lightning.data.packing import verify

    songs = CORPORA["auto"](asked.data)
    assert isinstance(songs, Catalogue)
    if songs.remark:
        state = f"no GTZAN at {asked.data.root}: data.corpus auto means synthetic songs"
        yield Check("missing", "music", state, "gtzan data")
        return
    readable, problems = verify(songs)
    state = f"data.corpus auto means GTZAN at {asked.data.root}: {readable:,} of "
    state += f"{len(gtzan_ids()):,} songs can be opened ({summary(problems)})"
    if readable:
        yield Check("ok", "music", state)
    else:
        yield Check("problem", "music", state, f"remove {asked.data.root}, then gtzan data")


def _sound(asked: Asked) -> Iterator[Check]:
    from gtzan_lightning.data.sound_files import libsndfile

    release, formats = libsndfile()
    yield Check("ok", "sound", f"libsndfile {release} reads {', '.join(formats)}")
    program = shutil.which("ffmpeg")
    if not program:
        state = "no ffmpeg: nothing here needs it, but it turns m4a and wma into wav"
        yield Check("missing", "sound", state)
        return
    said = subprocess.run([program, "-version"], capture_output=True, text=True, timeout=10).stdout
    yield Check("ok", "sound", f"{' '.join(said.split()[:3])}; nothing here needs it")


def _weights(asked: Asked) -> Iterator[Check]:
    from gtzan_lightning.models.backbone import hub_answers, with_kept_weights
    from gtzan_lightning.models.weights import kept_files

    mend = "go online once; model.weights FILE takes a local file"
    kept = with_kept_weights()
    if kept:
        yield Check("ok", "weights", f"of ImageNet, kept here: {', '.join(kept)}")
    else:
        yield Check("missing", "weights", "of ImageNet (model.pretrained): none is kept here", mend)
    if heard := kept_files():
        yield Check("ok", "weights", f"of networks that learnt from music: {', '.join(heard)}")
    if not asked.offline:
        is_there = hub_answers()
        state = "the Hugging Face hub " + ("answers" if is_there else "can't be reached")
        yield Check("ok" if is_there else "missing", "hub", state, "" if is_there else mend)


LOOKS: dict[str, Callable[[Asked], Iterator[Check]]] = {
    "python": _python,
    "libraries": _libraries,
    "extras": _extras,
    "machine": _machine,
    "gpu": _gpu,
    "disk": _disk,
    "store": _store,
    "music": _music,
    "sound": _sound,
    "weights": _weights,
}
NEEDED = ("python", "libraries", "disk", "store", "music", "sound")  # by runs


def _requirements() -> Iterator[tuple[str, Requirement]]:
    """The package's own: the extra ("" for none) and what it requires on this machine."""
    for line in requires(PACKAGE) or ():
        wanted = Requirement(line)
        extra = next((e for e in SERVES if f'extra == "{e}"' in str(wanted.marker)), "")
        if not wanted.marker or wanted.marker.evaluate({"extra": extra}):
            wanted.marker = None
            yield extra, wanted


def _wrong(wanted: Requirement) -> str:
    """What is wrong with a required library; "" for nothing."""
    if not _has(wanted.name):
        return f"{wanted.name} is not installed"
    own = version(wanted.name)
    fits = wanted.specifier.contains(own, prereleases=True)
    return "" if fits else f"{wanted.name} {own} is not {wanted.specifier}"


def _has(name: str) -> bool:
    try:
        return bool(version(name))
    except PackageNotFoundError:
        return False


def _reason(error: Exception) -> str:
    return f"{type(error).__name__} {in_a_line(str(error).partition('[SQL')[0])}"
