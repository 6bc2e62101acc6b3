"""Runs -> comparison tables: only runs of the same songs and the same protocol share one."""

from dataclasses import dataclass

import pandas as pd

from gtzan_lightning.errors import UserError
from gtzan_lightning.results.predictions import wilson

MARK_OWN, MARK_LEAKY = " <- this run", " LEAKY"


@dataclass(frozen=True)
class Table:
    """One corpus, one protocol, one part; a row for each recipe, averaged over seeds and folds."""

    title: str
    rows: pd.DataFrame
    remarks: list[str]

    def markdown(self) -> str:
        body = self.rows.drop(columns="runs").to_markdown(index=False, disable_numparse=True)
        return "\n".join([f"### {self.title}", "", body, "", *self.remarks])


def tables(runs: pd.DataFrame, own: str = "") -> list[Table]:
    """Tables of runs as MLflow lists them (``tags.*``, ``metrics.*``), best recipe first.

    Args:
        runs: a row for each run.
        own: id of a run whose row is marked.
    """
    return [_table(key, group, own) for key, group in _groups(runs)]


def choose(runs: pd.DataFrame, words: list[str]) -> tuple[str, dict[str, pd.DataFrame]]:
    """The finished runs that each word means, and the part that their table measures.

    A word is a model, a recipe, a run's name or the beginning of its id.

    Raises:
        UserError: a word means nothing or several recipes, or no one table has all of them.
    """
    done = runs[runs["status"] == "FINISHED"] if len(runs) else runs
    known: set[str] = set()
    found = []
    for key, group in _groups(done):
        here = {word: group[_meant(group, word)] for word in words}
        known |= {word for word, of_word in here.items() if len(of_word)}
        if all(map(len, here.values())):
            found.append((key, _part(group), here))
    unknown = [word for word in words if word not in known]
    if unknown:
        raise UserError(
            f"no finished run is meant by {unknown[0]!r}: give a model, a recipe, a run's name or "
            "the beginning of its id, as experiments/compare.py lists them"
        )
    if len(found) != 1:
        what = "no table has all of" if not found else "several tables have"
        places = "; ".join(f"{corpus}, {protocol}" for (corpus, _, protocol), _, _ in found)
        raise UserError(
            f"{what} {', '.join(words)}{': ' + places if places else ''}: only runs of the same "
            "songs and protocol can be paired, give their run ids"
        )
    _, part, here = found[0]
    for word, of_word in here.items():
        recipes = sorted(set(of_word["tags.recipe"]))
        if len(recipes) > 1:
            raise UserError(f"{word!r} means {len(recipes)} recipes: give {', '.join(recipes)}")
    # a run that was repeated counts once, the latest: MLflow lists it first
    return part, {w: r.drop_duplicates(["tags.seed", "tags.fold"]) for w, r in here.items()}


def _groups(runs: pd.DataFrame) -> list[tuple[tuple[str, str, str], pd.DataFrame]]:
    """Runs by corpus, songs and protocol."""
    if runs.empty or "tags.corpus" not in runs:
        return []
    keys = ["tags.corpus", "tags.songs_fingerprint", "tags.protocol"]
    return list(runs.dropna(subset=["tags.corpus"]).groupby(keys, sort=True))


def _meant(runs: pd.DataFrame, word: str) -> pd.Series:
    exact = (runs["tags.model"] == word) | (runs["tags.recipe"] == word)
    exact |= _column(runs, "tags.mlflow.runName", "") == word
    return exact if len(word) < 6 else exact | runs["run_id"].str.startswith(word)


def _part(runs: pd.DataFrame) -> str:
    return "test" if (_column(runs, "metrics.final/test/songs") > 0).any() else "valid"


def table_of(runs: pd.DataFrame, own: str) -> Table:
    """The one table that holds a run, with its row marked."""
    return next(t for t in tables(runs, own) if any(own in ids for ids in t.rows["runs"]))


def _table(key: tuple[str, str, str], runs: pd.DataFrame, own: str) -> Table:
    corpus, songs, protocol = key
    part = _part(runs)
    rows = [_row(group, part, own) for _, group in runs.groupby("tags.recipe")]
    table = pd.DataFrame(sorted(rows, key=lambda row: -row.pop("order")))
    remarks = []
    if part == "valid":
        remark = "Measured on the validation part (no test song is in this corpus)"
        if _column(runs, "metrics.parameters").notna().any():  # of networks
            remark += ", on which each network's best epoch was chosen: such figures are optimistic"
        remarks.append(f"{remark}.")
    remarks += sorted({w for w in _column(runs, "tags.warning", "").fillna("") if w})
    title = f"corpus {corpus} ({songs}), protocol {protocol}, {part} part"
    return Table(title, table, remarks)


def _row(runs: pd.DataFrame, part: str, own: str) -> dict[str, object]:
    done = runs[runs["status"] == "FINISHED"]
    # a run that was repeated counts once, the latest: MLflow lists it first
    done = done.drop_duplicates(["tags.seed", "tags.fold"])
    accuracy = _column(done, f"metrics.final/{part}/song_accuracy").dropna()
    first = runs.iloc[0]
    name = str(first["tags.model"]) + MARK_LEAKY * bool(_text(first, "tags.warning"))
    unfinished = int((runs["status"] != "FINISHED").sum())
    if unfinished:
        name += f" ({unfinished} unfinished)"
    ids = set(runs["run_id"])
    row: dict[str, object] = {
        "model": name + MARK_OWN * (own in ids),
        "features": first["tags.features"],
        "n": "",
        "seeds": done["tags.seed"].nunique(),
        "folds": _folds(done, str(first["tags.protocol"])),
        "song accuracy": "",
        "95 % interval": "",
        "macro F1": _mean(done, f"metrics.final/{part}/song_f1"),
        "AUROC": _mean(done, f"metrics.final/{part}/song_auroc"),
        "parameters": f"{int(_column(runs, 'metrics.parameters').max() or 0):,}"
        if _column(runs, "metrics.parameters").notna().any()
        else "",
        "minutes": _mean(done, "metrics.minutes", 1),
        "recipe": str(first["tags.recipe"]),
        "runs": ids,
        "order": -1.0,
    }
    if len(accuracy):
        songs = _column(done, f"metrics.final/{part}/songs")
        of_folds = songs.groupby(done["tags.fold"]).max()
        n = int(of_folds.sum())  # folds test different songs, of which each counts the same
        mean = float((accuracy.groupby(done["tags.fold"]).mean() * of_folds).sum() / n)
        right = (accuracy * songs).groupby(done["tags.seed"]).sum()
        of_seeds = right / songs.groupby(done["tags.seed"]).sum()
        spread = f" ± {of_seeds.std():.3f}" if len(of_seeds) > 1 else ""
        low, high = wilson(mean, n)
        row |= {
            "n": n,
            "song accuracy": f"{mean:.3f}{spread}",
            "95 % interval": f"{low:.3f}-{high:.3f}",
            "order": mean,
        }
    return row


def _folds(done: pd.DataFrame, protocol: str) -> str:
    """Such as 2/5, for protocols whose label says how many folds there are."""
    words = protocol.split()
    return f"{done['tags.fold'].nunique()}/{words[1]}" if words[0] in ("kfold", "artist") else ""


def _column(runs: pd.DataFrame, name: str, default: object = float("nan")) -> pd.Series:
    return runs[name] if name in runs else pd.Series(default, index=runs.index)


def _mean(runs: pd.DataFrame, name: str, digits: int = 3) -> str:
    values = _column(runs, name).dropna()
    return f"{values.mean():.{digits}f}" if len(values) else ""


def _text(row: pd.Series, name: str) -> str:
    value = row.get(name, "")
    return value if isinstance(value, str) else ""
