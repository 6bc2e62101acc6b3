"""Weights that networks learnt elsewhere: downloaded once and kept, or from a local file."""

import http.client
import sys
from pathlib import Path
from typing import BinaryIO
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import torch
from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn
from torch import Tensor, nn

from gtzan_lightning.errors import UserError, in_a_line
from gtzan_lightning.models.tensors import check_tensors, read_tensors
from gtzan_lightning.recipe.pretrained_settings import HeardSettings

PATIENCE = 20.0  # seconds that a server may be silent
BLOCK = 1 << 18


def weights_of(settings: HeardSettings, url: str, kept: str) -> dict[str, Tensor]:
    """Tensors by their names, of ``model.weights`` or, kept as a file of that name, of a URL.

    Raises:
        UserError: they can't be had.
    """
    return read_weights(Path(settings.weights) if settings.weights else fetch(url, kept))


def fill(network: nn.Module, weights: dict[str, Tensor], last: str | None, where: str) -> None:
    """Give a network its weights.

    Args:
        last: name of the last layer, which is left as it is; none: it is filled too.
        where: what the weights are of, for messages.

    Raises:
        UserError: they are those of another network.
    """
    own = network.state_dict()
    wanted = {name for name in own if not (last and name.startswith(f"{last}."))}
    wanted -= {name for name in own if name.endswith("num_batches_tracked")}
    wrong = [n for n in wanted if n not in weights or weights[n].shape != own[n].shape]
    if wrong:
        raise UserError(
            f"model.weights are no weights of {where}: {len(wrong)} of {len(wanted)} tensors are "
            f"not in the file or of another size, such as {min(wrong)}"
        )
    network.load_state_dict({**own, **{name: weights[name] for name in wanted}})


def read_weights(file: Path) -> dict[str, Tensor]:
    """Tensors by their names; code in the file is never executed.

    Raises:
        UserError: no such file, no file of tensors, or a tensor with a NaN.
    """
    if not file.is_file():
        raise UserError(f"model.weights {file}: no such file")
    try:
        content = read_tensors(file)
        weights = {name: t for name, t in content.items() if isinstance(t, Tensor)}
    except Exception as error:  # zip, pickle and torch each have their own errors for bad bytes
        raise UserError(f"model.weights {file} can't be read: {in_a_line(error)}") from None
    check_tensors(weights, file.stat().st_size, f"model.weights {file}")
    return {name: _without_denormals(t) for name, t in weights.items()}


def _without_denormals(tensor: Tensor) -> Tensor:
    """Zero for numbers below 1e-38, which processors compute with a hundred times more slowly.

    Channels that a training's weight decay let die are full of them: 12 to 58 % of the numbers in
    four files of Won et al.
    """
    if not tensor.is_floating_point():
        return tensor
    return tensor.masked_fill(tensor.abs() < torch.finfo(tensor.dtype).tiny, 0)


def fetch(url: str, kept: str) -> Path:
    """The file of a URL, kept where torch.hub keeps its own; an interrupted download is resumed.

    Raises:
        UserError: the server can't be reached, has no such file, or stopped in its middle.
    """
    file = _folder() / kept
    if file.exists():
        return file
    part = file.with_suffix(".part")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with part.open("ab") as sink:
            _download(url, sink)
        part.replace(file)
    except (OSError, http.client.HTTPException) as error:
        raise UserError(
            f"weights can't be downloaded from {url} ({error or type(error).__name__}): go online "
            "once, or give a local file with model.weights FILE, or train from scratch with "
            "model.pretrained false"
        ) from None
    return file


def kept_files() -> list[str]:
    """Names of the weights that networks of this package have downloaded."""
    patterns = ("mn*_as_*.pt", "won2020-*.pth")
    return sorted(file.name for pattern in patterns for file in _folder().glob(pattern))


def _folder() -> Path:
    return Path(torch.hub.get_dir()) / "checkpoints"


def _download(url: str, sink: BinaryIO) -> None:
    """Append what is missing; raises OSError where the server gives less than it promises."""
    start = sink.tell()
    asked = Request(url, headers={"Range": f"bytes={start}-"} if start else {})
    try:
        answer = urlopen(asked, timeout=PATIENCE)
    except HTTPError as error:
        if error.code != 416:  # nothing is missing, or the file is another one now
            raise
        sink.truncate(0)
        sink.seek(start := 0)
        answer = urlopen(url, timeout=PATIENCE)
    with answer:
        if start and answer.status != 206:  # a server that starts anew
            sink.truncate(0)
            sink.seek(start := 0)
        promised = answer.headers.get("Content-Length")
        total = start + int(promised) if promised else None
        columns = (BarColumn(), DownloadColumn(), TimeRemainingColumn())
        with Progress(*columns, transient=True, disable=not sys.stdout.isatty()) as bar:
            task = bar.add_task("weights", total=total, completed=start)
            while block := answer.read(BLOCK):
                sink.write(block)
                bar.advance(task, len(block))
    if total and sink.tell() < total:
        raise OSError(f"{sink.tell():,} of {total:,} bytes came: the same command resumes it")
