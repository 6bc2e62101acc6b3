"""What more training songs are worth: scores of systems trained on shares of a protocol's songs."""

from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd
from tabulate import tabulate

from gtzan_lightning.recipe.baseline_settings import ClassicalSettings
from gtzan_lightning.recipe.model_settings import MODEL_SETTINGS, CustomSettings
from gtzan_lightning.results import significance
from gtzan_lightning.results.intervals import wilson
from gtzan_lightning.results.rows import Reader, learnt_before
from gtzan_lightning.results.together import accuracy, one_recipe, with_predictions

PROTOCOL = "filtered"
CLASSES = ("classical", "from scratch", "ImageNet", "heard before")


@dataclass(frozen=True)
class Share:
    """Song accuracy of a system that was trained on so many songs, with its 95 % interval.

    Attributes:
        minutes: of one training.
    """

    songs: int
    accuracy: float
    low: float
    high: float
    seeds: int
    minutes: float


def shares(lines: pd.DataFrame, read: Reader) -> dict[str, list[Share]]:
    """System -> its scores on valid songs, from the fewest training songs to the most.

    Of the ledger's lines those of ``PROTOCOL``, whole or with ``data.train_share``; systems that
    were trained on one number of songs are left out.
    """
    systems: dict[str, list[Share]] = {}
    for name, size, group in _trained(lines):
        systems.setdefault(name, []).append(_share(size, group, read))
    return systems


def markdown(systems: dict[str, list[Share]]) -> str:
    """A row for each system, by class, and a column for each number of training songs."""
    sizes = sorted({share.songs for of_system in systems.values() for share in of_system})
    rows = []
    for name, of_system in systems.items():
        cells = {share.songs: _cell(share) for share in of_system}
        minutes = f"{of_system[-1].minutes:.1f}"
        rows.append([class_of(name), name, *(cells.get(size, "") for size in sizes), minutes])
    rows.sort(key=lambda row: CLASSES.index(row[0]))
    headers = ["class", "system", *(f"{size} songs" for size in sizes), "minutes, all songs"]
    if not rows:
        return "Not measured yet."
    return tabulate(rows, headers, tablefmt="pipe", disable_numparse=True)


def apart(lines: pd.DataFrame, read: Reader) -> str:
    """A row for each two systems that can be told apart, by the number of training songs.

    As ``significance.pairs`` compares all that were trained on as many songs; ``lines`` as
    ``shares`` takes them.
    """
    of_size: dict[int, list[significance.System]] = {}
    for name, size, group in _trained(lines):
        runs = with_predictions(group, read, "valid")[1]
        if runs:
            own = significance.system(name, runs, "valid")
            of_size.setdefault(size, []).append(own)
    rows = []
    for size, systems in sorted(of_size.items()):
        pairs = [pair.from_better() for pair in significance.pairs(systems)]
        rows += [
            [str(size), pair.first, pair.second, f"{pair.difference:.3f}",
             f"{pair.low:.3f} to {pair.high:.3f}", pair.p_text.removeprefix("= "), str(len(pairs))]
            for pair in pairs if pair.apart
        ]  # fmt: skip
    if not rows:
        return "None can be told apart."
    headers = ["songs", "better", "than", "difference", "interval", "p", "pairs compared"]
    return tabulate(rows, headers, tablefmt="pipe", disable_numparse=True)


def class_of(system: str) -> str:
    """Of ``CLASSES``; a system is named as ``shares`` does, with features as in a run's tags."""
    model, _, features = system.partition(": ")
    if before := learnt_before(features)[1]:
        return "ImageNet" if before == "ImageNet" else "heard before"
    settings = MODEL_SETTINGS.get(model, CustomSettings)
    return "classical" if issubclass(settings, ClassicalSettings) else "from scratch"


def _trained(lines: pd.DataFrame) -> Iterator[tuple[str, int, pd.DataFrame]]:
    """Systems, numbers of training songs in order, and the lines of both."""
    protocol = lines["protocol"]
    own = lines[protocol.str.fullmatch(rf"{PROTOCOL}(, train \d+)?")]
    own = own[own["songs"].str.startswith("train ")]  # lines of lost runs do not say
    sizes = own["songs"].str.extract(r"train (\d+)")[0].astype(int)
    named = own["model"] + ": " + own["features"]
    for name, of_system in own.groupby(named):
        runs = of_system.groupby(sizes[of_system.index])
        if len(runs) < 2:
            continue
        for size, group in runs:
            yield str(name), int(str(size)), group


def _share(songs: int, lines: pd.DataFrame, read: Reader) -> Share:
    """Of all seeds of a recipe; with predictions the interval is by artist, else Wilson's."""
    kept, runs = with_predictions(lines, read, "valid")
    if runs:
        own = accuracy(runs, "valid")
        return Share(songs, own.accuracy, own.low, own.high, len(runs), kept["minutes"].mean())
    lines = one_recipe(lines)
    score = float(lines["final/valid/song_accuracy"].mean())
    ends = wilson(score, int(lines["final/valid/songs"].iloc[0]))
    return Share(songs, score, *ends, len(lines), lines["minutes"].mean())


def _cell(share: Share) -> str:
    seeds = f", {share.seeds} seeds" if share.seeds > 1 else ""
    return f"{share.accuracy:.3f} [{share.low:.3f}, {share.high:.3f}]{seeds}"
