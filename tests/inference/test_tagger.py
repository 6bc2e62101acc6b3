from pathlib import Path

import numpy as np
import onnxruntime
import pandas as pd
import pytest
import soundfile
import soxr
import torch
from conftest import RATE, quick_flags

import gtzan_lightning
from experiments import export
from gtzan_lightning.data.audio import BrokenSong
from gtzan_lightning.data.module import GenreData
from gtzan_lightning.data.synthetic import render
from gtzan_lightning.errors import UserError
from gtzan_lightning.inference.ensemble import load
from gtzan_lightning.inference.onnx import to_onnx
from gtzan_lightning.inference.tagger import Tagger
from gtzan_lightning.models.checkpoint import Checkpoint
from gtzan_lightning.recipe.command_line import parse_run
from gtzan_lightning.results import predictions as metrics
from gtzan_lightning.tracking.reading import find_checkpoint, store_uri
from gtzan_lightning.training.train import make_model, train


@pytest.fixture(scope="module")
def trained(tmp_path_factory, packed):
    folder = tmp_path_factory.mktemp("tagger")
    flags = [*quick_flags(packed, folder), "--data.clips_per_song", "20", "--fit.max_epochs", "5"]
    recipe, _ = parse_run([*flags, "--fit.learning_rate", "0.005", "--track.log_model", "false"])
    return recipe, train(recipe)


@pytest.fixture
def tagger(trained):
    return Tagger.load(trained[1].folder / "best.ckpt")


def test_a_tagger_predicts_what_the_test_loop_did(trained, tagger, tmp_path):
    recipe, outcome = trained
    data = GenreData(recipe)
    data.setup()
    predictions = pd.read_csv(outcome.folder / "predictions.csv")
    genres = metrics.genre_columns(predictions)
    assert abs(outcome.scores["temperature"] - 1) > 0.05  # else nothing is tested
    logits = torch.tensor(predictions[genres].to_numpy()) / outcome.scores["temperature"]
    predictions[genres] = logits.log_softmax(1).numpy()
    votes = metrics.vote(predictions[predictions["part"] == "test"]).set_index("song")
    for song in votes.index[:5]:
        row = data.corpus.ids.index(song)
        wave = data.corpus.recording(row).astype(np.float32) / 32767
        prediction = tagger.predict(wave, RATE)
        truth = torch.tensor(votes.loc[song, prediction.genres].to_numpy(float)).softmax(0)
        np.testing.assert_allclose(prediction.probabilities, truth, atol=1e-4)
        np.testing.assert_allclose(
            prediction.probabilities, tagger.probabilities(wave)[0], atol=1e-5
        )
        clips = predictions[predictions["song"] == song]
        np.testing.assert_allclose(prediction.starts, clips["start"], atol=1e-3)
        np.testing.assert_allclose(
            prediction.clip_probabilities, np.exp(clips[prediction.genres]), atol=1e-4
        )
        assert prediction.remarks == ()


def test_raw_leaves_the_temperature_out_and_no_song_changes_its_genre(trained, tagger):
    outcome = trained[1]
    raw = Tagger.load(outcome.folder / "best.ckpt", raw=True)
    assert (raw.temperature, tagger.temperature) == (1, outcome.scores["temperature"])
    assert raw.digest != tagger.digest  # a table of one is not resumed by the other
    waves = np.stack([render(genre, 1, 5, 4.0, RATE) for genre in ("pop", "jazz", "metal")])
    own, cold = raw.probabilities(waves), tagger.probabilities(waves)
    truth = (torch.tensor(own).log() / tagger.temperature).softmax(1)
    np.testing.assert_allclose(cold, truth, atol=1e-5)
    assert np.abs(own - cold).max() > 0.01
    assert list(own.argmax(1)) == list(cold.argmax(1))
    song, clips = raw.predict(waves[0], RATE), tagger.predict(waves[0], RATE)
    np.testing.assert_allclose(song.probabilities, own[0], atol=1e-5)
    assert np.abs(song.clip_probabilities - clips.clip_probabilities).max() > 0.01


def test_an_export_says_what_it_takes_and_replaces_nothing(trained, tagger, tmp_path, capsys):
    out = tmp_path / "new" / "genres.onnx"
    flags = ["--run", str(trained[1].folder / "best.ckpt"), "--out", str(out), "--seconds", "4"]
    export.main(flags)
    assert "waves (song, 32000) at 8000 Hz" in capsys.readouterr().out
    described = onnxruntime.InferenceSession(out).get_modelmeta().custom_metadata_map
    assert described["genres"].split(",") == tagger.genres
    assert (described["sample_rate"], described["seconds"]) == ("8000", "4")
    with pytest.raises(UserError, match=r"genres\.onnx exists"):
        export.main(flags)


@pytest.mark.parametrize("flags", [["--data.pack", "pictures"], ["--data.features", "mfcc"],
    ["--data.features", "chroma"], ["--data.features", "kaldi"], ["--data.features", "htk"],
    ["--data.colour", "viridis", "--data.picture_size", "40", "50"]],
    ids=" ".join)  # fmt: skip
def test_every_picture_goes_through_onnx(flags, packed, tmp_path):
    recipe, _ = parse_run([*quick_flags(packed, tmp_path), *flags])
    torch.manual_seed(0)
    data = GenreData(recipe)
    data.setup()
    model = make_model(recipe, data)
    tagger = Tagger(Checkpoint(model.contents, model.state_dict()))
    assert to_onnx(tagger, tmp_path / "genres.onnx", 4.0) < 1e-4


def test_an_export_that_predicts_otherwise_is_not_kept(tagger, tmp_path, monkeypatch):
    off = tagger.probabilities(np.stack([render("pop", 1, 5, 4.0, RATE)] * 3)) + 0.01
    monkeypatch.setattr("gtzan_lightning.inference.onnx.run_onnx", lambda file, waves: off)
    with pytest.raises(UserError, match="off by"):
        to_onnx(tagger, tmp_path / "genres.onnx", 4.0)
    assert not list(tmp_path.iterdir())


def test_any_rate_channel_count_and_length(tagger, tmp_path):
    wave = render("metal", 1, 5, 4.0, 44_100)
    stereo = np.stack([wave, 0.5 * wave], axis=1)
    soundfile.write(tmp_path / "song.flac", stereo, 44_100)
    prediction = tagger.predict_file(tmp_path / "song.flac")
    assert prediction.remarks == ("resampled from 44100 to 8000 Hz",)
    own = tagger.predict(soxr.resample(stereo.mean(1), 44_100, RATE), RATE)
    np.testing.assert_allclose(prediction.probabilities, own.probabilities, atol=0.02)
    assert prediction.seconds == pytest.approx(4.0, abs=0.01)
    short = tagger.predict(wave[: 44_100 // 2], 44_100)
    assert short.clip_probabilities.shape == (1, 10)
    assert "0.50 s, repeated to fill a clip of 1 s" in short.remarks
    curve = tagger.predict(wave, 44_100, every=0.25)
    assert len(curve.starts) == 13  # 0, 0.25 … 3
    np.testing.assert_allclose(np.diff(curve.starts), 0.25, atol=1e-3)
    np.testing.assert_allclose(curve.probabilities, prediction.probabilities, atol=0.05)
    assert curve.genre == curve.genres[int(curve.probabilities.argmax())]


def test_silence_and_broken_sound_are_not_guessed(tagger):
    for wave, what in (
        (np.zeros(RATE, np.float32), "silent"),
        (np.zeros(0, np.float32), "too short"),
        (np.full(RATE, np.nan, np.float32), "not numbers"),
    ):
        with pytest.raises(BrokenSong, match=what):
            tagger.predict(wave, RATE)


def test_a_tagger_opens_runs_and_says_what_it_can_not_open(trained, monkeypatch, tmp_path):
    recipe, outcome = trained
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store_uri(recipe.track))
    by_run = gtzan_lightning.Tagger.load(outcome.run_id)
    wave = render("jazz", 0, 5, 3.0, RATE)
    by_file = Tagger.load(str(outcome.folder / "best.ckpt"))
    np.testing.assert_array_equal(by_run.probabilities(wave), by_file.probabilities(wave))
    for where, said in (
        ("0123456789abcdef0123456789abcdef", "no such checkpoint, run or model"),
        ("models:/none/1", "no such checkpoint, run or model"),
        (str(tmp_path / "none.ckpt"), "there is no checkpoint"),
    ):
        with pytest.raises(UserError, match=said) as caught:
            Tagger.load(where)
        assert "\n" not in str(caught.value)
    forest, _ = parse_run(
        [*quick_flags(Path(recipe.data.packed), tmp_path, "random_forest"),
         "--track.folder", recipe.track.folder, "--data.features", "mfcc"]
    )  # fmt: skip
    with pytest.raises(UserError, match="has no checkpoint: it did not end, or is no network"):
        find_checkpoint(train(forest).run_id, forest.track, str(tmp_path))


def test_taggers_vote_together(trained, tmp_path):
    _, outcome = trained
    file = outcome.folder / "best.ckpt"
    other = tmp_path / "other.ckpt"
    content = torch.load(file, weights_only=True)
    content["state_dict"]["network.out.bias"][3] += 2.0
    torch.save(content, other)
    wave = render("jazz", 0, 5, 3.0, RATE)
    one, two = (Tagger.load(f).predict(wave, RATE) for f in (file, other))
    together = load([file, other])
    product = np.sqrt(one.probabilities * two.probabilities)
    answer = together.predict(wave, RATE)
    np.testing.assert_allclose(answer.probabilities, product / product.sum(), rtol=1e-5)
    np.testing.assert_array_equal(answer.clip_probabilities, one.clip_probabilities)
    assert together.digest == load([other, file]).digest != load([file, file]).digest
    assert isinstance(load([file]), Tagger)
