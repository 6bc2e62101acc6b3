"""A small hostile set through packing, tagger and table; ``make attack`` does it at scale."""

from pathlib import Path

import pytest

from experiments import tag
from gtzan_lightning.data.audio import BrokenSong
from gtzan_lightning.data.catalogue import GENRES
from gtzan_lightning.data.packing import prepare
from gtzan_lightning.inference.tag_table import read_csv
from gtzan_lightning.inference.tagger import Tagger
from gtzan_lightning.recipe.settings import DataSettings
from tests.hostile import make_hostile
from tests.hostile.judge import Outcome, judge, of_row

COUNT, SEED = 60, 5
MUSIC = [1.0]  # stands for a song: packing predicts nothing


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    """The set; what can't be opened by any means is among it."""
    made = make_hostile(tmp_path_factory.mktemp("hostile"), COUNT, SEED)
    kinds = {one.kind for one in made}
    assert {"FIFO", "socket", "link to /dev/zero"} & kinds
    assert {one.truth for one in made} == {"good", "broken", "cut", "either"}
    return made


@pytest.fixture(scope="module")
def clean(hostile, checkpoint):
    """Plainly named copy -> its outcome."""
    tagger = Tagger.load(checkpoint)
    copies = [one.clean for one in hostile if one.clean]
    return {path: _heard(tagger, path) for path in copies}


def _heard(tagger: Tagger, path: Path) -> Outcome:
    try:
        song = tagger.predict_file(path)
    except BrokenSong as broken:
        return Outcome(finding=str(broken))
    shares = [float(share) for share in song.probabilities]
    return Outcome(shares, remarks="; ".join(song.remarks))


def _lost(hostile, outcomes, clean=None, strict=False):
    clean = clean or {}
    told = {
        one.kind: judge(one, outcomes.get(one.path), clean.get(one.clean), strict)
        for one in hostile
    }
    return {kind: why for kind, why in told.items() if why}


def test_the_tagger_tells_the_truth_of_each_file(hostile, clean, checkpoint):
    tagger = Tagger.load(checkpoint)
    assert _lost(hostile, {one.path: _heard(tagger, one.path) for one in hostile}, clean) == {}


def test_a_table_has_a_row_for_each_file(hostile, clean, checkpoint, tmp_path, capsys):
    out = tmp_path / "table.csv"
    folder = hostile[0].path.parents[1]
    tag.main([str(folder), "--run", checkpoint, "--out", str(out)])
    rows = {Path(row["path"]): of_row(row, GENRES) for row in read_csv(out)}
    rounded = {
        path: Outcome([float(f"{share:.5f}") for share in outcome.probabilities])
        for path, outcome in clean.items()
    }
    assert _lost(hostile, rows, rounded) == {}
    said = capsys.readouterr().out
    assert "Traceback" not in said
    assert "\x1b[31m" not in said  # a name's escapes


def test_packing_keeps_good_songs_and_names_the_others(hostile, tmp_path):
    sounds = {}
    for folder in (hostile[0].path.parents[1], hostile[0].clean.parents[1]):
        data = DataSettings(
            corpus="folder", root=str(folder), packed=str(tmp_path), sample_rate=8000,
            clip_seconds=0.5, min_seconds=0.1,
        )  # fmt: skip
        corpus = prepare(data)
        sounds |= {Path(song["path"]): song["digest"] for song in corpus.songs}
        findings = {folder / p.name: f"{p.what}: {p.detail}" for p in corpus.problems}
        outcomes = dict.fromkeys(sounds, Outcome(MUSIC))
        outcomes |= {path: Outcome(finding=said) for path, said in findings.items()}
        if "clean" not in folder.parts:
            assert _lost(hostile, outcomes, strict=True) == {}
    for one in hostile:
        if one.clean:
            assert sounds[one.path] == sounds[one.clean], one.kind
