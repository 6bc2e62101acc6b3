"""The ladder: one recipe under every protocol, with its leaks and controls."""

import re

import pandas as pd
import pytest
from conftest import quick_flags

from gtzan_lightning.commands import ladder as command
from gtzan_lightning.errors import UserError
from gtzan_lightning.ladder.plot import ladder_plot
from gtzan_lightning.ladder.steps import Request, rungs
from gtzan_lightning.ladder.table import Measured, read_csv, to_csv
from gtzan_lightning.recipe.command_line import parse_run
from gtzan_lightning.tracking.reading import openings, runs_table


@pytest.fixture
def flags(packed, tmp_path, gtzan_copy):
    more = ["--data.corpus", "gtzan", "--data.root", str(gtzan_copy), "--data.features", "mfcc"]
    more += ["--model.neighbours", "1", "--model.summary", "mean", "--data.split", "auto"]
    more += ["--data.folds", "3", "--data.valid_fraction", "0.4"]
    return [*quick_flags(packed, tmp_path, "knn"), *more]


def test_what_is_unknown_is_not_drawn_as_none():
    rows = [
        Measured(
            model="knn", rung=rung, protocol=rung, part="test", train_songs=9, n=9, artists=None,
            seeds=1, folds=1, accuracy=0.5, low=0.3, high=0.7, song=0.0, recording=None,
            artist=None, recipe="a", commit="b", corpus="folder", genres=genres,
        ) for rung, genres in (("clips", 4), ("stratified", 4))
    ]  # fmt: skip
    scores, shares = ladder_plot(rows).axes
    assert [text.get_text() for text in shares.texts] == ["?"] * 4
    assert [list(line.get_ydata()) for line in scores.lines][-1] == [0.25, 0.25]


SOME = ["--rungs", "stratified", "clips", "artist", "--equal"]


def test_a_ladder_goes_from_the_leakiest_to_the_cleanest_and_resumes(
    flags, tmp_path, capsys, monkeypatch
):
    out = tmp_path / "out"
    command.main([*flags, *SOME, "--out", str(out)])
    printed = capsys.readouterr().out
    rows = read_csv(out / "ladder.csv")
    names = ["clips", "stratified", "artist", "shuffled_genres", "training_songs"]
    assert [row.rung for row in rows] == names
    assert to_csv(rows) == (out / "ladder.csv").read_text()
    assert (out / "ladder.md").read_text().strip() in printed
    assert (out / "ladder.png").stat().st_size > 10_000
    assert len({row.train_songs for row in rows}) == 1
    clips, stratified, artist, _, memory = rows
    assert clips.song == memory.song == 1
    assert (stratified.song, artist.song, artist.artist) == (0, 0, 0)
    assert memory.part == "test"
    assert memory.accuracy == 1.0  # one neighbour remembers everything
    assert {row.part for row in rows} - {memory.part} == {"valid"}

    track = parse_run(flags)[0].track
    runs = runs_table(track)
    (parent,) = runs.loc[runs["ladder"].notna(), "run_id"]
    assert sum(runs["parent"] == parent) == len(rows) == len(runs) - 1
    assert openings(track).empty  # a control's training songs are no test part
    command.main([*flags, *SOME])
    assert capsys.readouterr().out.count("is finished:") == len(rows)
    assert len(runs_table(track)) == len(runs)
    command.main(["--table", str(out / "ladder.csv"), str(out / "ladder.csv")])
    assert capsys.readouterr().out.count("| knn") == 2 * len(rows)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", "80")
    command.main(["--table", str(out / "ladder.csv")])
    shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", capsys.readouterr().out)
    table = [line for line in shown.splitlines() if "[0." in line]
    assert len(table) == len(rows)
    assert max(map(len, table)) <= 80
    assert all(row.run in shown and len(row.run) == 8 for row in rows)


def test_rungs_have_as_many_training_songs_and_the_protocols_folds(flags):
    recipe, _ = parse_run(flags)
    ladder = rungs(recipe, Request(["stratified", "artist"], [0, 1], [0, 1, 2], 0, False))
    assert [(rung.name, len(rung.members)) for rung in ladder] == [("stratified", 2), ("artist", 6)]
    fewest = {rung.train_songs for rung in ladder}
    assert len(fewest) == 1
    with pytest.raises(UserError, match=f"no more than {max(fewest)} training songs"):
        rungs(recipe, Request(["stratified", "artist"], [0], [0, 1, 2], max(fewest) + 1, False))


def test_shuffled_genres_belong_to_other_songs(flags):
    recipe, _ = parse_run(flags)
    ladder = rungs(recipe, Request(["stratified"], None, None, None, True))
    genres = {rung.name: rung.members[0].data.genre_numbers for rung in ladder}
    plain, shuffled = genres["stratified"], genres["shuffled_genres"]
    assert (plain == genres["training_songs"]).all()
    assert pd.Series(plain).value_counts().to_dict() == pd.Series(shuffled).value_counts().to_dict()
    assert (plain == shuffled).float().mean() < 0.4


def test_a_file_that_is_no_ladder_is_one_line(tmp_path):
    (tmp_path / "other.csv").write_text("song,part\na,b\n")
    with pytest.raises(UserError, match=r"is no table that experiments/ladder\.py"):
        command.main(["--table", str(tmp_path / "other.csv")])
