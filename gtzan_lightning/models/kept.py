"""What a network that does not change makes of clips: computed once, kept for all later runs."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from filelock import FileLock
from torch import Tensor, nn

from gtzan_lightning.data.arrays import read_arrays, write_arrays
from gtzan_lightning.data.clips import Batch
from gtzan_lightning.files import digest


class Kept:
    """Numbers of clips, by (song, start); a file beside the packed songs keeps them.

    Args:
        folder: where the file is.
        key: what the numbers depend on, besides the clip; the file is named after it.
        make: clips of the corpus -> numbers, the clip first.
    """

    def __init__(self, folder: str, key: str, make: Callable[[Tensor], Tensor]) -> None:
        self.file = Path(folder) / f"kept-{digest(key.encode())}.npz"
        self.make, self.written = make, 0
        self.row: dict[tuple[int, int], int] = {}
        self.numbers: list[np.ndarray] = []  # (number, ...) float16 of each row
        if kept := read_arrays(self.file, "song", "start", "numbers"):
            song, start, numbers = kept
            places = zip(song.tolist(), start.tolist(), strict=True)
            self.row = {place: row for row, place in enumerate(places)}
            self.numbers = list(numbers)
            self.written = len(self.numbers)

    @torch.inference_mode()
    def learn(self, batch: Batch) -> None:
        """Compute what is new in a batch with ``clip``."""
        places = _places(batch)
        new = [n for n, place in enumerate(places) if place not in self.row]
        if new:
            made = self.make(batch["clip"][new]).half().cpu().numpy()
            self.row |= {places[n]: len(self.numbers) + k for k, n in enumerate(new)}
            self.numbers += list(made)

    def of(self, batch: Batch) -> np.ndarray:
        """(clip, ...) float32 of the clips of a batch. Raises KeyError for one never learnt."""
        rows = [self.row[place] for place in _places(batch)]
        return np.stack([self.numbers[row] for row in rows]).astype(np.float32)

    def keep(self) -> None:
        """Write what is new, so that the next run need not compute it."""
        if len(self.numbers) == self.written:
            return
        song, start = np.array(list(self.row)).T
        # runs at the same time may keep the same numbers
        with FileLock(self.file.with_suffix(".lock")):
            write_arrays(self.file, song=song, start=start, numbers=np.stack(self.numbers))
        self.written = len(self.numbers)


def weights_digest(network: nn.Module, without: str = "") -> str:
    """Equal for equal weights.

    Args:
        without: name of a layer that does not count.
    """
    state = network.state_dict()
    names = sorted(name for name in state if not (without and name.startswith(f"{without}.")))
    return digest(b"".join(name.encode() + state[name].cpu().numpy().tobytes() for name in names))


def _places(batch: Batch) -> list[tuple[int, int]]:
    return list(zip(batch["song"].tolist(), batch["start"].tolist(), strict=True))
