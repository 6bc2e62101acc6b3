"""One row of a table: the runs of one recipe, one state of the code and one number format."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from gtzan_lightning.recipe.command_line import SHORT
from gtzan_lightning.recipe.protocol_names import OF_FOLDS
from gtzan_lightning.results.intervals import wilson

Reader = Callable[[str], pd.DataFrame | None]  # run id -> its predictions, if it has any


@dataclass(frozen=True)
class Row:
    """The runs of one recipe, averaged over seeds and folds; None where no run has a number.

    Attributes:
        recipe: the six digits that runs of one recipe share.
        commit: of the code, with "dirty" where it was changed since: other code is another row.
        precision: number format of a network's training; "" where it is unknown or there is none.
        runs: ids, the newest first, of unfinished runs too, which come last and do not count in
            the numbers.
        repeats: finished runs of a seed and fold that has a newer one, which alone counts.
        folds: how many were run, of ``of_folds`` where the protocol has folds.
        warning: what is leaky about it, or that it was quick, or "".
        n: songs; those of different folds are added up.
        artists: of these songs; None where they are unknown.
        accuracy: share of songs, each counted once whatever the number of seeds.
        spread: standard deviation of the accuracies of seeds that have run all folds.
        low, high: 95 % interval of the accuracy, over seeds and artists; Wilson's where artists
            are unknown or predictions were not read.
        wilson_low, wilson_high: Wilson's, which takes songs as independent.
        last: accuracy of the last epoch on valid songs, beside that of the best one.
        tuned_on: songs on which the recipe's settings were chosen; "" where none were.
        kept: "last epoch" of a network that kept it; "" where valid songs chose the best one.
        opened: of a test part, how often recipes of this model opened it, deleted runs included.
        minutes: of a training.
        device: that it ran on, such as ``cpu``; several are joined, "" is unknown.
    """

    model: str
    features: str
    recipe: str
    commit: str
    precision: str
    runs: tuple[str, ...]
    repeats: int
    seeds: int
    folds: int
    of_folds: int | None
    unfinished: int
    warning: str
    tuned_on: str
    kept: str
    n: int | None
    artists: int | None
    accuracy: float | None
    spread: float | None
    low: float | None
    high: float | None
    wilson_low: float | None
    wilson_high: float | None
    last: float | None
    opened: int | None
    f1: float | None
    auroc: float | None
    parameters: int | None
    minutes: float | None
    device: str

    def accuracy_text(self) -> str:
        """Such as ``0.600 ± 0.010``; empty where no run has ended."""
        spread = "" if self.spread is None else f" ± {self.spread:.3f}"
        return _text(self.accuracy) + spread

    def interval_text(self, between: str) -> str:
        """The interval's ends, such as ``0.543-0.655``."""
        return between.join(_text(end) for end in (self.low, self.high) if end is not None)

    def short_runs(self) -> str:
        """The beginning of a run's id, the newest finished one's, and how many others there are."""
        return short(self.runs)

    def wilson_text(self) -> str:
        """Wilson's ends, such as ``0.543-0.655``."""
        ends = (self.wilson_low, self.wilson_high)
        return "-".join(_text(end) for end in ends if end is not None)

    def cells(self, own: str = "") -> dict[str, str]:
        """Title -> text of each column; ``own`` is the id of a run whose row is marked."""
        unfinished = f" ({self.unfinished} unfinished)" if self.unfinished else ""
        unfinished += f" ({self.repeats} repeated)" if self.repeats else ""
        leaky = f" {marker(self.warning)}" if self.warning else ""
        this = " <- this run" * (own in self.runs)
        kept = f", {self.kept}" if self.kept else ""
        return {
            "model": self.model + kept + leaky + unfinished + this,
            "features": self.features,
            "n": _text(self.n, "d"),
            "artists": _text(self.artists, "d"),
            "seeds": str(self.seeds),
            "folds": f"{self.folds}/{self.of_folds}" if self.of_folds else "",
            "song accuracy": self.accuracy_text(),
            "95 % interval": self.interval_text("-"),
            "Wilson": self.wilson_text(),
            "last epoch": _text(self.last),
            "test opened": _text(self.opened, "d"),
            "macro F1": _text(self.f1),
            "AUROC": _text(self.auroc),
            "parameters": _text(self.parameters, ",d"),
            "minutes": _text(self.minutes, ".1f"),
            "device": self.device,
            "precision": self.precision,
            "recipe": self.recipe,
            "commit": self.commit,
        }


def learnt_before(features: str) -> tuple[str, str]:
    """A run's tag ``features`` without what its network learnt from before, and that, such as MSD.

    As ``report`` writes it: "...; heard AudioSet" or "...; saw ImageNet".
    """
    own, _, before = features.partition("; ")
    return own, before.removeprefix("heard ").removeprefix("saw ")


def short(runs: Sequence[str]) -> str:
    """Such as ``1a2b3c4d``, or ``1a2b3c4d +2`` of three."""
    return f"{runs[0][:SHORT]} +{len(runs) - 1}" if len(runs) > 1 else runs[0][:SHORT]


def marker(warning: str) -> str:
    """The word that marks what a warning is about: LEAKY, CONTROL or QUICK."""
    return warning.split()[0].removesuffix(":")


def code(runs: pd.DataFrame) -> pd.Series:
    """The state of the code of each run, such as ``1a2b3c4`` or ``1a2b3c4 dirty 9f8e``.

    The last word is of the modules themselves, where the commit does not say what they are.
    """
    commit = column(runs, "commit", "").fillna("").astype(str).str[:7]
    changed = column(runs, "dirty", "").fillna("").astype(str).str.lower().isin(["true", "1"])
    source = column(runs, "source", "").fillna("").astype(str).str[:4]
    unsaid = source.where(changed | (commit == "unknown"), "")
    words = commit + changed.map({True: " dirty ", False: " "}) + unsaid
    return words.str.strip()


def states(runs: pd.DataFrame) -> list[pd.Series]:
    """What the runs of one row share: recipe, state of the code, precision."""
    return [runs["recipe"], code(runs), column(runs, "precision", "").fillna("")]


def latest(runs: pd.DataFrame) -> pd.DataFrame:
    """A run that was repeated counts once: the newest is listed first."""
    return runs.drop_duplicates(["seed", "fold"])


def asked_for(
    runs: pd.DataFrame, seeds: Sequence[str] | None, folds: Sequence[str] | None
) -> pd.DataFrame:
    """The runs of some seeds and folds; None stands for all there are.

    Args:
        folds: ``["all"]`` leaves out the seeds that lack a finished run of a fold.
    """
    if seeds is not None and len(runs):
        runs = runs[column(runs, "seed", "").astype(str).isin(seeds)]
    if folds is None or runs.empty:
        return runs
    if list(folds) != ["all"]:
        return runs[column(runs, "fold", "").astype(str).isin(folds)]
    label = column(runs, "protocol", "").fillna("").astype(str)
    wanted = label.map(lambda words: int(words.split()[1]) if words.startswith(OF_FOLDS) else 1)
    ended = runs["fold"].where(runs["status"] == "FINISHED")
    keys = [column(runs, name, "").astype(str) for name in ("recipe", "protocol", "seed")]
    return runs[ended.groupby(keys).transform("nunique") >= wanted]


def make_row(runs: pd.DataFrame, part: str, read: Reader | None, opened: Mapping[str, int]) -> Row:
    """The row of runs that share their ``states``.

    Args:
        opened: openings of the test part by model.
        read: gives predictions, from which several runs are pooled; without it their numbers are
            averaged, and the interval is Wilson's.
    """
    finished = runs[runs["status"] == "FINISHED"]
    done = latest(finished)
    first = runs.iloc[0]
    protocol = str(first["protocol"]).split()
    parameters = column(runs, "parameters").max()
    last = column(done, "valid/song_accuracy").dropna()
    return Row(
        model=str(first["model"]),
        features=str(first["features"]),
        recipe=str(first["recipe"]),
        commit=str(code(runs).iloc[0]),
        precision=str(column(runs, "precision", "").fillna("").iloc[0]),
        runs=(*finished["run_id"], *runs["run_id"][runs["status"] != "FINISHED"]),
        repeats=len(finished) - len(done),
        seeds=done["seed"].nunique(),
        folds=done["fold"].nunique(),
        of_folds=int(protocol[1]) if protocol[0] in OF_FOLDS else None,
        unfinished=int((runs["status"] != "FINISHED").sum()),
        warning=next((w for w in column(runs, "warning", "").fillna("") if w), ""),
        tuned_on=str(column(runs, "tuned_on", "").fillna("").iloc[0]),
        kept=str(column(runs, "kept", "").fillna("").iloc[0]),
        **_scores(done, part, read),
        last=float(last.mean()) if part == "valid" and len(last) else None,
        opened=opened.get(str(first["model"])),
        parameters=None if pd.isna(parameters) else int(parameters),
        minutes=_mean(done, "minutes"),
        device=_devices(done),
    )


def _devices(runs: pd.DataFrame) -> str:
    """The last word of their machines, such as ``Linux x86_64, 2 cores, cpu``."""
    machines = column(runs, "machine", "").fillna("").astype(str)
    return "/".join(sorted({machine.rpartition(", ")[2] for machine in machines} - {""}))


def _scores(done: pd.DataFrame, part: str, read: Reader | None) -> dict[str, Any]:
    """n, accuracy, spread, intervals, F1 and AUROC of finished runs."""
    values: dict[str, Any] = dict.fromkeys(
        ("n", "artists", "accuracy", "spread", "low", "high", "wilson_low", "wilson_high")
    )
    values |= {n: _mean(done, f"final/{part}/song_{n}") for n in ("f1", "auroc")}
    accuracy = column(done, f"final/{part}/song_accuracy").dropna()
    if accuracy.empty:
        return values
    songs = column(done, f"final/{part}/songs")
    of_folds = songs.groupby(done["fold"]).max()
    n = int(of_folds.sum())  # folds test different songs, of which each counts the same
    mean = float((accuracy.groupby(done["fold"]).mean() * of_folds).sum() / n)
    folds = done.groupby("seed")["fold"].nunique()
    complete = done[done["seed"].isin(folds.index[folds == done["fold"].nunique()])]
    right = (accuracy * songs)[complete.index].groupby(complete["seed"]).sum()
    of_seeds = right / songs[complete.index].groupby(complete["seed"]).sum()
    low, high = wilson(mean, n)
    values |= {
        "n": n, "accuracy": mean, "low": low, "high": high, "wilson_low": low, "wilson_high": high,
        "spread": float(of_seeds.std()) if len(of_seeds) > 1 else None,
    }  # fmt: skip
    return values | _by_artist(done, complete, part, read)


def _by_artist(
    done: pd.DataFrame, complete: pd.DataFrame, part: str, read: Reader | None
) -> dict[str, Any]:
    """Interval by artist where artists are known; F1 and AUROC of several runs, pooled."""
    if len(done) == 1:
        artists = column(done, f"final/{part}/artists").iloc[0]
        if pd.isna(artists):
            return {}
        ends = (float(done[f"final/{part}/song_accuracy_{end}"].iloc[0]) for end in ("low", "high"))
        return {"artists": int(artists), **dict(zip(("low", "high"), ends, strict=True))}
    tables = {} if read is None else {run: read(run) for run in complete["run_id"]}
    if not tables or any(table is None for table in tables.values()):
        return {}
    from gtzan_lightning.results.predictions import pooled_scores  # scikit-learn takes a second

    of_seeds = [
        pd.concat([tables[run] for run in runs["run_id"]])
        for _, runs in complete.groupby("seed")
    ]  # fmt: skip
    return pooled_scores(of_seeds, part)


def column(runs: pd.DataFrame, name: str, default: object = float("nan")) -> pd.Series:
    """A column of the runs, or the default for each where none has it."""
    return runs[name] if name in runs else pd.Series(default, index=runs.index)


def _mean(runs: pd.DataFrame, name: str) -> float | None:
    values = column(runs, name).dropna()
    return float(values.mean()) if len(values) else None


def _text(number: float | None, form: str = ".3f") -> str:
    return "" if number is None else f"{number:{form}}"
