"""Rules on the sound of songs: what is broken, and whether flaws alone tell the genre."""

from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
from scipy.stats import binomtest
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.tree import DecisionTreeClassifier

from gtzan_lightning.audit.findings import Example, Finding, Severity
from gtzan_lightning.audit.songs import Sound

SHORT = 0.5  # of the median length
SILENT = 0.2  # share of a song
EDGES = 2.0  # seconds
CLIPPED = 0.001  # share of samples
NARROW = 0.6  # of the median bandwidth
FOLDS, LEAVES, DEPTH = 5, 5, 4  # of the small tree
ALPHA, CLEAR = 0.01, 0.1  # after Bonferroni's correction; points above chance that matter
TOGETHER = "all flaws together"
LEVEL_DB = 3.0  # decibels that loudness is rounded to: a tree should not learn single songs

# flaw -> its number, and whether music itself may differ in it
FLAWS: dict[str, tuple[Callable[[Sound], float | None], bool]] = {
    "loudness": (lambda sound: round(sound.loudness / LEVEL_DB), True),
    "bandwidth": (lambda sound: sound.bandwidth, True),
    "length": (lambda sound: round(sound.seconds, 2), False),
    "edge silence": (lambda sound: round(sound.edges, 1), False),
    "clipping": (lambda sound: sound.clipped, True),
}


def faults(sounds: Sequence[Sound]) -> list[Finding]:
    """Short, silent, clipped and band-limited songs."""
    if not sounds:
        return []
    length = float(np.median([sound.seconds for sound in sounds]))
    widths = [sound.bandwidth for sound in sounds if sound.bandwidth]
    width = float(np.median(widths)) if widths else 0.0
    rules: list[tuple[str, Severity, str, Callable[[Sound], str]]] = [
        ("short", "fault", f"shorter than half of the median, {length:.1f} s", lambda s: (
            f"{s.seconds:.1f} s" if s.seconds < SHORT * length else ""
        )),
        ("silent", "fault", f"silent for more than {100 * SILENT:.0f} %", lambda s: (
            f"{100 * s.silent:.0f} %" if s.silent > SILENT else ""
        )),
        ("edges", "warning", f"silent at the edges for more than {EDGES:g} s", lambda s: (
            f"{s.edges:.1f} s" if s.edges > EDGES and s.silent <= SILENT else ""
        )),
        ("clipped", "warning", f"have more than {100 * CLIPPED:g} % of clipped samples", lambda s: (
            f"{100 * s.clipped:.1f} %" if s.clipped and s.clipped > CLIPPED else ""
        )),
        ("band-limited", "warning", f"end steeply below {NARROW * width:.0f} Hz", lambda s: (
            f"{s.bandwidth:.0f} Hz"
            if s.is_steep and s.bandwidth is not None and s.bandwidth < NARROW * width else ""
        )),
    ]  # fmt: skip
    findings = []
    for rule, severity, words, text in rules:
        wrong = tuple(Example((sound.id,), text(sound)) for sound in sounds if text(sound))
        if wrong:
            sentence = f"{len(wrong)} of {len(sounds)} songs: {words}"
            findings.append(Finding(rule, severity, sentence, wrong, len(wrong)))
    return findings


def told_by_flaws(sounds: Sequence[Sound], genre_of: dict[str, str]) -> list[Finding]:
    """Flaws that alone tell the genre better than chance.

    A decision tree of depth 4 is cross-validated over songs, for each flaw and for all together;
    chance is always answering the largest genre. Binomial test, corrected for the number of flaws.
    """
    genres = [genre_of.get(sound.id, "") for sound in sounds]
    counts = Counter(genre for genre in genres if genre)
    kept = [n for n, genre in enumerate(genres) if counts[genre] >= FOLDS]
    target = np.array([genres[n] for n in kept])
    if len(set(target)) < 2:
        return []
    columns = _columns([sounds[n] for n in kept])
    chance = max(Counter(target).values()) / len(target)
    findings = []
    for name, (numbers, is_music) in columns.items():
        right = _right(numbers, target)
        p = binomtest(right, len(target), chance, alternative="greater").pvalue * len(columns)
        if p < ALPHA and right / len(target) >= chance + CLEAR:
            why = (
                "music differs in it too: compare with a system that can't use it"
                if is_music
                else "files of different genres were made differently"
            )
            verb = "tell" if name == TOGETHER else "alone tells"
            shown = "p < 1e-4" if p < 1e-4 else f"p = {p:.4f}"
            findings.append(Finding(
                "genre by flaw", "warning" if is_music else "fault",
                f"{name} {verb} the genre of {100 * right / len(target):.0f} % of "
                f"{len(target)} songs (chance {100 * chance:.0f} %, {shown}): {why}", count=right,
            ))  # fmt: skip
    return findings


def _columns(sounds: Sequence[Sound]) -> dict[str, tuple[np.ndarray, bool]]:
    """Flaw -> (song, number), and whether music differs in it; constant ones are left out."""
    columns = {}
    for name, (value, is_music) in FLAWS.items():
        values = [value(sound) for sound in sounds]
        if None not in values:
            columns[name] = (np.array(values, dtype=float)[:, None], is_music)
    kinds = sorted({sound.kind for sound in sounds})
    hot = [[float(sound.kind == kind) for kind in kinds] for sound in sounds]
    columns["file type"] = (np.array(hot), False)
    columns = {name: column for name, column in columns.items() if np.ptp(column[0], axis=0).any()}
    if len(columns) > 1:
        columns[TOGETHER] = (np.hstack([c for c, _ in columns.values()]), True)
    return columns


def _right(numbers: np.ndarray, target: np.ndarray) -> int:
    tree = DecisionTreeClassifier(max_depth=DEPTH, min_samples_leaf=LEAVES, random_state=0)
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=0)
    return int((cross_val_predict(tree, numbers, target, cv=folds) == target).sum())
