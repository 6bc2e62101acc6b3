"""Files of tensors, read so that no file can run code, fill the memory or bring a NaN.

They are written so that they are there whole or not at all.
"""

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from gtzan_lightning.errors import UserError
from gtzan_lightning.files import replacing

TAIL = 22  # bytes with which a zip file of torch ends
ENTRIES = 100_000
PLAIN = {
    torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.bool, torch.uint8,
    torch.int8, torch.int16, torch.int32, torch.int64,
}  # fmt: skip
SHARED = 4  # how often a byte of a file may be part of a tensor


def read_tensors(file: Path) -> Any:
    """What ``torch.save`` or safetensors wrote: plain values and tensors, never objects.

    Raises:
        ValueError: an archive that would unpack to more than it is, or that has changed.
        Exception: torch, pickle, zip and safetensors each have their own for bad bytes.
    """
    if file.suffix == ".safetensors":
        return load_file(file)
    if zipfile.is_zipfile(file):
        _check_archive(file)
    return torch.load(file, map_location="cpu", weights_only=True)


def write_tensors(file: Path, content: object) -> None:
    """Plain values and tensors into a file, whole or not at all.

    Raises:
        OSError: the disk can't take it.
    """
    # given a name in place of an open file, torch does not say what the disk refused
    try:
        with replacing(file) as part, part.open("wb") as sink:
            torch.save(content, sink)
    except RuntimeError as error:  # of torch, which ends its archive whatever happened
        if isinstance(error.__context__, OSError):
            raise error.__context__ from None
        raise


def check_tensors(tensors: Mapping[str, Tensor], size: int, where: str) -> None:
    """Whether tensors are plain, as large as the bytes that hold them, and finite.

    Args:
        size: bytes of their file.
        where: what they are of, for messages.

    Raises:
        UserError: names the first tensor that is not.
    """
    total = 0
    for name, tensor in tensors.items():
        total += tensor.numel() * tensor.element_size()
        plain = tensor.layout == torch.strided and tensor.dtype in PLAIN
        if not plain or tensor.device.type != "cpu":
            raise UserError(f"{where}: {name} is no plain tensor: take another file")
        held = tensor.untyped_storage().nbytes()
        if tensor.numel() * tensor.element_size() > held or total > SHARED * size:
            raise UserError(f"{where}: {name} is larger than the file that holds it")
        if tensor.is_floating_point() and (bad := int((~tensor.isfinite()).sum())):
            raise UserError(
                f"{where}: {bad} of {tensor.numel()} values of {name} are no numbers (NaN or "
                "infinite): take another file, or train anew with a smaller fit.learning_rate"
            )


def _check_archive(file: Path) -> None:
    """torch stores tensors as they are, with a CRC-32 of each that it does not check itself."""
    size = file.stat().st_size
    with zipfile.ZipFile(file) as archive:
        entries = archive.infolist()
    with file.open("rb") as source:
        source.seek(-TAIL, 2)
        ends = source.read(4) == b"PK\5\6"  # else two readers may see two archives in it
    stored = all(entry.compress_type == zipfile.ZIP_STORED for entry in entries)
    if not ends or not stored or len(entries) > ENTRIES:
        raise ValueError("it is an archive that torch.save did not write")
    if sum(entry.file_size for entry in entries) > size:
        raise ValueError("its parts are larger than the file")
    with zipfile.ZipFile(file) as archive:
        changed = archive.testzip()
    if changed:
        raise ValueError(f"{changed} is not as it was written, a bit of it has changed")
