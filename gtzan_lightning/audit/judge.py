"""All rules on one subject."""

import sys

from rich.progress import Progress

from gtzan_lightning.audit import columns, flaws, pairs, parts
from gtzan_lightning.audit.findings import Example, Finding, worst_first
from gtzan_lightning.audit.pairs import Pair
from gtzan_lightning.audit.read import table_columns
from gtzan_lightning.audit.songs import Subject


def judge(subject: Subject) -> list[Finding]:
    """Findings, the worst first."""
    findings = [*subject.findings, *parts.balance(subject.songs)]
    if any(song.part for song in subject.songs):
        findings += [*parts.shared(subject.songs), *parts.sizes(subject.songs)]
    else:
        findings += _known_twice(subject)
    if subject.table:
        table, songs = table_columns(subject.table)
        findings += columns.tell_tale(table, [subject.genre_of[song] for song in songs])
    if subject.sounds:
        findings += flaws.faults(subject.sounds)
        findings += flaws.told_by_flaws(subject.sounds, subject.genre_of)
        findings += pairs.repeated(subject.songs, subject.sounds, _pairs(subject))
        short = [s for s in subject.sounds if s.seconds < pairs.OVERLAP]
        if short:
            sentence = f"{len(short)} songs are shorter than {pairs.OVERLAP:g} s: not compared"
            examples = tuple(Example((s.id,), f"{s.seconds:.1f} s") for s in short)
            findings.append(Finding("same sound", "note", sentence, examples, len(short)))
    return worst_first(findings)


def _known_twice(subject: Subject) -> list[Finding]:
    """Recordings that are published to be held twice, where no protocol says on which side."""
    here = set(subject.genre_of)
    twice = tuple(
        Example((song.id, song.recording)) for song in subject.songs
        if song.recording not in ("", song.id) and song.recording in here
    )  # fmt: skip
    sentence = f"{len(twice)} songs are published repetitions of others: keep them on one side"
    return [Finding("recording", "warning", sentence, twice, len(twice))] if twice else []


def _pairs(subject: Subject) -> list[Pair]:
    with Progress(transient=True, disable=not sys.stdout.isatty()) as bar:
        task = bar.add_task("pairs", total=1.0)
        return pairs.similar(
            [sound.envelope for sound in subject.sounds],
            subject.seconds_per_frame,
            progress=lambda share: bar.update(task, completed=share),
        )
