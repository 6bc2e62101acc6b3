import math
import time

import psutil
import pytest
import torch

from experiments.bench import main
from gtzan_lightning.bench import libraries, training
from gtzan_lightning.bench import run as bench
from gtzan_lightning.bench.growth import growth_rows, handle, write_songs
from gtzan_lightning.bench.rows import Target, compared, interleaved, measured, table, unmeasured
from gtzan_lightning.data.packing import prepare
from gtzan_lightning.errors import UserError
from gtzan_lightning.recipe.settings import DataSettings, TrackSettings
from gtzan_lightning.tracking.reading import runs_table
from gtzan_lightning.tracking.tracker import Tracker

RATE = 22_050  # librosa.load's own


@pytest.fixture(scope="module")
def songs(packed):
    """Ten songs of 1.5 s, cut into clips of half a second."""
    return DataSettings(
        corpus="synthetic", synthetic_songs=3, synthetic_seconds=1.5, sample_rate=RATE,
        clip_seconds=0.5, packed=str(packed),
    )  # fmt: skip


def test_a_ratio_is_of_the_seconds_that_were_measured():
    target = Target(3, least=True)
    pairs = [(1.0, 4.0), (2.0, 2.0), (0.5, 5.0)]
    row = compared("k", "what", "other", pairs, 200, target)
    assert row.value == 4
    assert row.cells == (
        "what", "200 clips/s", "other: 50 clips/s", "4 (1-10, n = 3)", ">= 3 x", "yes"
    )  # fmt: skip
    assert compared("k", "what", "other", [(1.0, 2.9)], 1, target).cells[-1] == "no"
    assert measured("k", "what", [3.0, 1.0], Target(2, False, "s")).cells[-1] == "yes"
    memory = measured("k", "what", [3.0, 1.0], Target(2, False, "GB"), worst=True)
    assert (memory.value, memory.cells[-1]) == (3, "no")
    missing = unmeasured("k", "what", "other", target, "no\nsuch library")
    assert math.isnan(missing.value)
    assert "can't be measured here (no such library)" in table([row, missing])


def test_sides_take_turns_after_a_turn_that_is_not_timed():
    turns = []
    pairs = interleaved(lambda: turns.append("A"), lambda: turns.append("B"), 3)
    assert "".join(turns) == "AB" * 4
    assert len(pairs) == 3


def test_both_sides_of_feeding_give_the_same_samples(songs, tmp_path):
    corpus = prepare(songs)
    steps = round(songs.clip_seconds * RATE)
    files = libraries.write_wavs(corpus, steps, tmp_path)
    clips = libraries.draw(corpus, list(files), steps, 1)[0]
    packed = libraries.Clips(corpus, steps, torch.zeros(99), None).__getitems__(clips)["clip"]
    assert torch.equal(libraries.by_soundfile(files, clips, steps), packed)
    for rate in (RATE, None):
        waves = libraries.by_librosa(files, clips, steps, rate)
        torch.testing.assert_close(waves, packed / 32767, rtol=0, atol=1 / 32767)


def test_a_training_step_is_timed_beside_the_bare_one(quick, monkeypatch):
    bare_step, calls = training.bare_step, []

    def slow(*given):
        step = bare_step(*given)

        def act():
            step()
            calls.append(time.sleep(0.1))

        return act

    monkeypatch.setattr(training, "bare_step", slow)
    before = time.perf_counter()
    pairs = training.side_by_side(quick("--data.clips_per_song", "20"), steps=2, repeats=2)
    elapsed = time.perf_counter() - before
    assert len(pairs) == 2
    assert len(calls) == 2 * (1 + 2)  # one turn of two steps is not timed
    assert all(ours > 0 and bare >= 2 * 0.1 for ours, bare in pairs)
    assert sum(map(sum, pairs)) < elapsed - 2 * 0.1


def test_growth_is_that_of_a_song_and_memory_the_worst(tmp_path):
    def turn(packing, memory):
        return {"packing": packing, "feeding": 1.0, "evaluation": 1.0, "memory": memory}

    rows = growth_rows({10: [turn(1.0, 0.5)], 100: [turn(1.2, 2.5)]})
    by_key = {row.key: row for row in rows}
    assert by_key["growth/packing"].value == pytest.approx(1.2)
    assert by_key["growth/packing"].cells[-1] == "no"
    assert by_key["growth/feeding"].cells[-1] == "yes"
    assert (by_key["growth/memory_gb"].value, by_key["growth/memory_gb"].cells[-1]) == (2.5, "no")
    write_songs(tmp_path / "songs", 100)
    sounds = {file.read_bytes() for file in (tmp_path / "songs").rglob("*.wav")}
    assert len(sounds) == 100
    before = time.perf_counter()
    costs = handle(tmp_path / "songs", tmp_path / "packed", clips=100)
    elapsed = time.perf_counter() - before
    resident = psutil.Process().memory_info().rss / 1e9
    assert set(costs) == set(turn(1.0, 1.0))
    assert resident / 2 < costs.pop("memory") < psutil.virtual_memory().total / 1e9
    assert min(costs.values()) > 0
    assert 100 * sum(costs.values()) < elapsed  # 100 songs, and 100 clips twice


def test_the_command_writes_its_table_and_a_run(songs, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(bench, "DataSettings", lambda root: songs)
    track = TrackSettings(folder=str(tmp_path / "mlruns"), uri="local")
    out = tmp_path / "docs" / "bench.md"
    text = bench.bench(["features"], "data/gtzan", 1, out, track)
    assert out.read_text() == text + "\n"
    assert all(f"| {kind} of 64 clips | " in text for kind in libraries.KINDS)
    assert "synthetic" in text
    run = runs_table(track).iloc[0]
    assert run["status"] == "FINISHED"
    assert f"| {run['features/mel']:.3g} (" in text


def test_the_run_is_recorded_where_it_was_asked_for(tmp_path, monkeypatch):
    """Whatever store a part used for itself."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)

    def elsewhere(results, data, repeats, scratch):
        Tracker(TrackSettings(folder=str(scratch), uri="local"))
        results.add(measured("k", "what", [1.0], Target(2, False, "s")))

    monkeypatch.setattr(bench, "_measures", lambda only: [("start", elsewhere)])
    track = TrackSettings(folder=str(tmp_path / "mlruns"))
    bench.bench(["start"], "data/gtzan", 1, None, track)
    own = track.model_copy(update={"uri": "local"})
    assert list(runs_table(own)["k"]) == [1]


def test_help_teaches_and_wrong_values_are_one_line(capsys, tmp_path):
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    said = capsys.readouterr().out
    assert "how the rows are measured:" in said
    assert "OMP_NUM_THREADS" in said
    for flags, words in (
        (["--only", "speed"], "speed"),
        (["--repeats", "0"], "--repeats 0"),
        (["--repeats", "few"], "few"),
        (["--only", "features", "--data.root", str(tmp_path)], "there is no GTZAN at"),
        (["--out", str(tmp_path)], "is a folder"),
    ):
        with pytest.raises(UserError, match=words) as caught:
            main([*flags, "--track.folder", str(tmp_path / "mlruns")])
        assert "\n" not in str(caught.value)
