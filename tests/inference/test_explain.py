import re

import mlflow
import numpy as np
import pytest
import soundfile
import torch
from conftest import RATE, quick_flags
from torch import nn

from experiments import explain as command
from gtzan_lightning.data.features import PictureSpec
from gtzan_lightning.errors import UserError
from gtzan_lightning.inference import corpus_songs, explain
from gtzan_lightning.inference.explain import (
    METHODS,
    examine,
    explain_sound,
    grad_cam,
    hertz_of_rows,
    integrated_gradients,
    render,
)
from gtzan_lightning.inference.sound import wave_to_sound
from gtzan_lightning.inference.tagger import Tagger
from gtzan_lightning.models import MODELS, network_class
from gtzan_lightning.recipe.command_line import parse_run
from gtzan_lightning.recipe.model_settings import MODEL_SETTINGS
from gtzan_lightning.recipe.settings import DataSettings
from gtzan_lightning.tracking.reading import store_uri
from gtzan_lightning.training.train import train


class LooksAtABox(nn.Module):
    """Genre 1 is the mean of bins 8 to 15, frames 24 to 31."""

    def __init__(self):
        super().__init__()
        self.convolution = nn.Conv2d(1, 2, 1, bias=False)
        nn.init.ones_(self.convolution.weight)

    def trunk(self, picture):
        return self.convolution(picture)

    def head(self, maps):
        box = maps[:, :, 8:16, 24:32].mean((2, 3))
        return torch.stack([-box.mean(1), box.mean(1)], dim=1)

    def forward(self, picture):
        return self.head(self.trunk(picture))


@pytest.mark.parametrize("method", ["saliency", "integrated_gradients"])
def test_maps_are_where_the_network_looks(method):
    picture = torch.rand(1, 1, 32, 48) + 0.5
    found = METHODS[method](LooksAtABox(), picture, 1)
    assert found.shape == (32, 48)
    assert found.max() == 1
    inside = torch.zeros(32, 48, dtype=torch.bool)
    inside[8:16, 24:32] = True
    assert found[~inside].abs().max() < 1e-6
    assert found[inside].min() > 0


def test_integrated_gradients_sum_to_the_change_of_the_logit():
    network = LooksAtABox()
    picture = torch.rand(1, 1, 32, 48)
    found = integrated_gradients(network, picture, 1)
    change = network(picture)[0, 1] - network(torch.zeros_like(picture))[0, 1]
    # scaled to 1 at the greatest pixel, which is worth 2 x value / 64 / 2
    greatest = picture[0, 0, 8:16, 24:32].max() / 64
    torch.testing.assert_close(found.sum() * greatest, change.detach(), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("name", [name for name in MODELS if name != "encoder"])
def test_every_network_can_be_explained(name):
    settings = MODEL_SETTINGS[name]
    random = {"pretrained": False} if "pretrained" in settings.model_fields else {}
    net = network_class(name)(settings(**random), 10, (1, 96, 96)).eval()
    picture = torch.randn(1, 1, 96, 96)
    for method in ("grad_cam", "saliency"):
        if method == "grad_cam" and not hasattr(net, "trunk"):
            with pytest.raises(UserError, match="has no convolutional trunk"):
                grad_cam(net, picture, 3)
            continue
        found = METHODS[method](net, picture, 3)
        assert found.shape == (96, 96)
        assert found.isfinite().all()
        assert found.min() >= 0


def test_the_checks_tell_a_map_of_the_network_from_one_of_the_picture():
    network, picture = LooksAtABox(), torch.rand(1, 1, 32, 48) * 4
    _, real = examine(network, picture, 1, METHODS["saliency"], 0, 1.0)
    assert real.deletion < real.random_deletion - 0.1
    assert real.insertion > real.random_insertion + 0.1
    assert "marks what the network used" in real.sentence()
    _, flat = examine(network, picture, 1, METHODS["saliency"], 0, 100.0)
    assert flat.insertion < real.insertion  # the probabilities are those that the tagger gives
    assert flat.insertion == pytest.approx(0.5, abs=0.02)
    _, fake = examine(network, picture, 1, lambda net, p, genre: p[0, 0] / p.max(), 0, 1.0)
    assert fake.random_weights > 0.99
    assert "the map shows the picture, not the network" in fake.sentence() or (
        "looks alike without training" in fake.sentence()
    )


@pytest.mark.parametrize("kind", ["mel", "spectrogram"])
def test_what_is_rendered_is_what_the_map_marks(kind):
    """Two tones; a map over the upper half of the picture keeps the upper one."""
    t = np.arange(RATE) / RATE
    low, high = np.sin(2 * np.pi * 300 * t), np.sin(2 * np.pi * 3000 * t)
    wave = (0.3 * (low + high)).astype(np.float32)
    spec = PictureSpec.of(
        DataSettings(features=kind, sample_rate=RATE, n_fft=512, hop_length=128, bins=32)
    )
    hertz = hertz_of_rows(spec, 40)
    assert np.all(np.diff(hertz) > 0)
    shown = np.repeat((hertz > 1500)[:, None], 20, axis=1).astype(np.float32)
    made = render(wave, spec, shown)
    assert made.shape == wave.shape
    parts = [np.abs(np.dot(made, tone)) / np.dot(tone, tone) for tone in (low, high)]
    assert parts[0] < 0.02
    assert parts[1] > 0.25
    whole = render(wave, spec, np.ones((40, 20), np.float32))
    np.testing.assert_allclose(whole, wave, atol=0.01)  # a mel picture has no 0 Hz


@pytest.fixture(scope="module")
def trained(tmp_path_factory, packed):
    folder = tmp_path_factory.mktemp("explained")
    recipe, _ = parse_run([*quick_flags(packed, folder), "--track.log_model", "false"])
    return recipe, train(recipe)


def test_songs_are_explained_into_a_folder_and_the_run(trained, tmp_path, capsys, tone):
    recipe, outcome = trained
    file = tmp_path / "chord.wav"
    soundfile.write(file, np.tile(tone, 3), RATE)
    flags = ["--run", outcome.run_id, "--track.folder", recipe.track.folder, "--out"]
    flags += [str(tmp_path / "out"), "--genres", "jazz", "metal", "--song", str(file)]
    command.main(flags)
    said = capsys.readouterr().out
    made = {path.name for path in (tmp_path / "out").iterdir()}
    names = {line.split(":")[0] for line in said.splitlines() if not line.startswith(" ")}
    assert len(names) == 3
    assert made == {f"{name}.{kind}" for name in names for kind in ("png", "html", "wav")}
    assert "deletion" in said
    wave, rate = soundfile.read(tmp_path / "out" / "chord.wav")
    assert (len(wave), rate) == (RATE, RATE)
    page = (tmp_path / "out" / "chord.html").read_text()
    assert page.count('src="data:audio/mpeg;base64,') == 2
    assert page.count('src="data:image/png;base64,') == 3
    assert not re.search(r'(src|href)="(?!data:)', page)  # nothing is fetched
    assert f"{outcome.run_id[:8]}: small_cnn, digest" in page
    client = mlflow.MlflowClient(store_uri(recipe.track))
    logged = {artifact.path for artifact in client.list_artifacts(outcome.run_id, "explained")}
    assert logged == {f"explained/{name}" for name in made}


@pytest.mark.parametrize("samples", [1, 256, 257])
def test_a_song_shorter_than_a_fourier_window_is_explained(trained, tone, samples):
    tagger = Tagger.load(trained[1].folder / "best.ckpt")
    sound = wave_to_sound(tone[-samples:], RATE, tagger.sample_rate)
    explained = explain_sound(tagger, "short", sound, steps=2)
    assert (explained.marked is None) == (samples <= tagger.spec.n_fft // 2)


@pytest.mark.parametrize("windows", [{"hop_length": 512}, {"window": 128, "hop_length": 128}])
def test_a_picture_of_windows_that_do_not_overlap_is_drawn_and_not_heard(windows):
    settings = DataSettings(**{"sample_rate": RATE, "n_fft": 512, "bins": 32, **windows})
    clip, heat = np.zeros(RATE, np.float32), np.ones((32, 9), np.float32)
    assert explain._marked(PictureSpec.of(settings), clip, heat) is None


def test_songs_of_one_name_are_told_apart(trained, tmp_path, tone):
    for folder in "ab":
        (tmp_path / folder).mkdir()
        soundfile.write(tmp_path / folder / "01.wav", tone, RATE)
    files = [str(tmp_path / folder / "01.wav") for folder in "ab"]
    tagger = Tagger.load(trained[1].folder / "best.ckpt")
    made = corpus_songs.sounds_of(tagger, files, [], corpus_songs.corpus_of(tagger, None))
    assert [name for name, _ in made] == ["01", "01-2"]


def test_bad_input_is_one_line(trained, tmp_path):
    recipe, outcome = trained
    (tmp_path / "broken.wav").write_bytes(b"nothing")
    run = ["--run", outcome.run_id, "--track.folder", recipe.track.folder]
    for flags, said in (
        (run, "name --song FILE_OR_ID"),
        ([*run, "--song", "jazz.99"], "neither a file nor a song of synthetic"),
        ([*run, "--song", str(tmp_path / "broken.wav")], "broken.wav: unreadable"),
        ([*run, "--genres", "polka"], "no valid song of it"),
        ([*run, "--genres", "jazz", "--genre", "polka"], "the model knows blues"),
    ):
        with pytest.raises(UserError, match=said) as caught:
            command.main(flags)
        assert "\n" not in str(caught.value)
