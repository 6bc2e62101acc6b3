from dataclasses import replace
from typing import get_args

import numpy as np
import pytest
import soundfile
import soxr
import torch
import torchaudio
from matplotlib import colormaps
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from scipy.signal import lfilter

from gtzan_lightning.bench.libraries import librosa_picture
from gtzan_lightning.data import pictures
from gtzan_lightning.data.features import FEATURES, HTK_STANDARD, PictureSpec
from gtzan_lightning.data.packing import prepare
from gtzan_lightning.data.pictures import (
    Features,
    bytes_to_decibels,
    decibels_to_bytes,
    stored_picture,
)
from gtzan_lightning.recipe.pretrained_settings import HTK, KALDI
from gtzan_lightning.recipe.settings import DataSettings

MOTYKA = {"n_fft": 4096, "window": 1024, "hop_length": 512, "bins": 64, "f_max": 8000.0}
RNG = np.random.default_rng(0)
WAVE = (RNG.normal(0, 0.1, 66_150) + 0.3 * np.sin(np.arange(66_150) * 0.1)).astype(np.float32)


def test_every_kind_that_can_be_asked_for_knows_its_rows():
    asked = get_args(DataSettings.model_fields["features"].annotation)
    assert (*FEATURES, "embedding") == asked
    for kind, feature in FEATURES.items():
        spec = PictureSpec.of(DataSettings(features=kind))
        assert len(Features(spec).plain(torch.from_numpy(WAVE)[None])[0]) == feature.rows(spec)
        assert feature.hertz is None or len(feature.hertz(spec)) == feature.rows(spec)
        if feature.packed:
            assert replace(spec, scale="decibels").stored().picture == feature.packed


@pytest.mark.parametrize("kind", ["mel", "mfcc", "spectrogram", "stft", "chroma"])
@pytest.mark.parametrize("given", [{}, MOTYKA, {"hop_length": 1024, "f_min": 50.0}])
def test_every_feature_equals_librosa(kind, given):
    spec = PictureSpec.of(DataSettings(features=kind, **given))
    ours = Features(spec).plain(torch.from_numpy(WAVE)[None])[0].numpy()
    truth = librosa_picture(spec, WAVE)
    assert ours.shape == truth.shape == (spec.rows, 1 + 66_150 // spec.hop_length)
    # float32: decibels to 0.01, linear values to 1e-4 of the largest
    tolerance = 0.01 if spec.scale == "decibels" else 1e-4 * truth.max()
    np.testing.assert_allclose(ours, truth, rtol=2e-4, atol=tolerance)


@pytest.mark.parametrize("kind", [{}, MOTYKA, {"features": "spectrogram", "hop_length": 700}])
@pytest.mark.parametrize(
    ("stretch", "length"), [(1, 66_150), (1, 700), (0.4, 66_048), (1.8, 66_150)]
)
def test_a_long_song_in_blocks_is_the_picture_of_the_whole(kind, stretch, length, monkeypatch):
    spec = PictureSpec.of(DataSettings(**kind)).stored()
    features = Features(replace(spec, seconds_per_frame=spec.seconds_per_frame * stretch))
    wave = np.round(np.linspace(0.001, 1, length) * WAVE[:length] * 32767).astype(np.int16)
    whole = decibels_to_bytes(features.plain(torch.from_numpy(wave)[None]))[0]
    assert torch.equal(stored_picture(features, wave), whole)
    monkeypatch.setattr(pictures, "AT_ONCE", 0)
    for block in (20_000, 10**6):
        monkeypatch.setattr(pictures, "BLOCK", block)
        got = stored_picture(features, wave)
        off = (got.int() - whole.int()).abs()
        # torch rounds the lines between stretched frames in its own way
        assert off.max() <= (stretch != 1)
        assert off.sum() <= 1e-4 * off.numel()


def test_kaldi_pictures_are_efficientats():
    """Its steps one by one: emphasis, Fourier transforms of 800 samples, Kaldi's triangles, log."""
    spec = PictureSpec.of(DataSettings(**KALDI))
    ours = Features(spec)(torch.from_numpy(WAVE)[None])[0, 0].numpy()
    emphasised = lfilter([1, -0.97], [1], WAVE.astype(float))[1:]
    padded = np.pad(emphasised, 512, mode="reflect")
    window = np.pad(np.hanning(800), 112)
    starts = range(0, len(padded) - 1023, 320)
    power = np.abs(np.fft.rfft([padded[s : s + 1024] * window for s in starts])) ** 2
    banks = torchaudio.compliance.kaldi.get_mel_banks(
        128, 1024, 32000.0, 0.0, 15000.0, 100.0, -500.0, 1.0
    )[0]
    truth = (np.log(power[:, :512] @ banks.numpy().T + 1e-5).T + 4.5) / 5
    assert ours.shape == truth.shape == (128, 1 + 66_149 // 320)
    np.testing.assert_allclose(ours, truth, atol=2e-3)


def test_htk_pictures_are_those_of_won_et_al():
    spec = PictureSpec.of(DataSettings(**HTK))
    ours = Features(spec).plain(torch.from_numpy(WAVE)[None])[0]
    mel = torchaudio.transforms.MelSpectrogram(16000, 512, f_min=0.0, f_max=8000.0, n_mels=96)
    truth = torchaudio.transforms.AmplitudeToDB()(mel(torch.from_numpy(WAVE)))
    torch.testing.assert_close(ours, truth, atol=0.01, rtol=0)
    mean, spread = HTK_STANDARD
    standard = Features(spec)(torch.from_numpy(WAVE)[None])[0, 0]
    torch.testing.assert_close(standard * spread + mean, truth, atol=0.01, rtol=0)


def mapped(kind, wave, rate=22050):
    """Pictures of a wave as a corpus of mel pictures gives them, and as the sound does."""
    wanted, corpus = PictureSpec.of(DataSettings(**kind)), PictureSpec.of(DataSettings())
    stored = Features(corpus)
    of_bytes = Features(replace(wanted, made_of=corpus))(
        decibels_to_bytes(stored.plain(torch.from_numpy(wave)[None]))
    )
    resampled = soxr.resample(wave, rate, wanted.sample_rate, quality="HQ")
    of_sound = Features(wanted)(torch.from_numpy(resampled)[None])
    frames = min(of_bytes.shape[3], of_sound.shape[3])
    assert abs(of_bytes.shape[3] - of_sound.shape[3]) <= 3
    return of_bytes[0, 0, :, :frames], of_sound[0, 0, :, :frames]


@pytest.mark.parametrize("kind", [KALDI, HTK])
def test_a_mapped_picture_is_that_of_the_sound(kind):
    """Of noise, up to one level for all bins below the corpus' highest frequency."""
    wave = np.random.default_rng(1).normal(0, 0.1, 220_500).astype(np.float32)
    of_bytes, of_sound = mapped(kind, wave)
    error = (of_bytes - of_sound).mean(1)
    below = error[5:112] if kind is KALDI else error[5:93]
    assert (below - below.mean()).abs().max() < 0.09  # bins of one Fourier line are noisy
    if kind is KALDI:  # nothing above 11 kHz
        assert of_bytes[-10:].max() < -1.4
        assert of_sound[-10:].mean() < -1.3


@pytest.mark.parametrize(("kind", "error"), [(KALDI, 0.32), (HTK, 0.33)])
def test_the_error_of_mapped_pictures_of_music(real_data, kind, error):
    """As docs/pictures.md says, measured on all 50 songs; here on ten."""
    squares = []
    for song in sorted((real_data / "gtzan").glob("*/*.00000.flac")):
        wave, _ = soundfile.read(song, dtype="float32")
        of_bytes, of_sound = mapped(kind, wave)
        squares.append((of_bytes - of_sound).square().mean())
    assert torch.stack(squares).mean().sqrt() < error


def test_linear_mel_equals_librosa():
    spec = PictureSpec.of(DataSettings(scale="linear"))
    ours = Features(spec).plain(torch.from_numpy(WAVE)[None])[0].numpy()
    power = librosa_picture(spec, WAVE)
    np.testing.assert_allclose(ours, power, rtol=2e-4, atol=2e-6 * power.max())


def test_mfcc_of_a_packed_mel_picture_is_that_of_the_wave():
    spec = PictureSpec.of(DataSettings(features="mfcc"))
    features, stored = Features(spec), Features(spec.stored())
    wave = torch.from_numpy(WAVE)[None]
    of_bytes = features.plain(decibels_to_bytes(stored.plain(wave)))
    torch.testing.assert_close(of_bytes, features.plain(wave), atol=2.0, rtol=0)


def test_colours_and_size_are_what_a_source_fed_its_network():
    asked = DataSettings(colour="viridis", picture_size=(64, 48))
    picture = Features(PictureSpec.of(asked))(torch.from_numpy(WAVE)[None])
    assert picture.shape == (1, 3, 64, 48)
    table = torch.from_numpy(colormaps["viridis"](np.arange(256))[:, :3]).float()
    distance = (picture[0].flatten(1).T[:, None] - table).abs().amax(2)  # pixel, colour
    assert distance.amin(1).max() < 1e-6  # every pixel is of the colour map
    assert distance[:, [0, 255]].amin(0).max() < 1e-6  # and its two ends are there


def test_decibels_taken_twice_are_a_range_of_40():
    librosa = pytest.importorskip("librosa")
    power = librosa.feature.melspectrogram(y=WAVE)
    twice = librosa.amplitude_to_db(power, ref=np.max)  # of a power: bar_tov, navas
    spec = PictureSpec.of(DataSettings(range_db=40))
    wave = torch.from_numpy(WAVE)[None]
    np.testing.assert_allclose(2 * Features(spec).plain(wave)[0].numpy(), twice, atol=0.02)
    of_bytes = Features(spec).plain(decibels_to_bytes(Features(spec.stored()).plain(wave)))
    assert -40 <= of_bytes.min() < -39.5
    with pytest.raises(ValueError, match=r"data\.range_db is of pictures in decibels"):
        DataSettings(range_db=40, features="stft")


def test_the_middle_of_a_figure_is_what_matplotlib_draws():
    """Kaggle's pictures: 432 x 288 with margins, resized to a height of 244 and cut to 244."""
    asked = DataSettings(colour="viridis", picture_size=(244, 244), figure_aspect=1.5)
    (ours,) = Features(PictureSpec.of(asked))(torch.from_numpy(WAVE)[None])
    figure = Figure((6.0, 4.0), dpi=72)
    axes = figure.add_subplot(facecolor="black")
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)
    FigureCanvasAgg(figure).draw()
    drawn = np.asarray(figure.canvas.buffer_rgba())[..., :3].mean(2) < 128
    at = (np.arange(244) + 0.5) * 288 / 244
    middle = drawn[at.astype(int)][:, (at + 72).astype(int)]
    white = (ours == 1).all(0).numpy()[::-1]  # a figure has its low bins below
    assert ours.shape == (3, 244, 244)
    assert (white == middle).mean() < 0.02  # but for an edge of a pixel
    with pytest.raises(ValueError, match=r"data\.figure_aspect needs data\.colour"):
        DataSettings(figure_aspect=1.5)


def test_a_clip_is_independent_of_its_neighbours_in_the_batch():
    torch.manual_seed(0)
    waves = torch.randn(3, 22050) * torch.tensor([[1.0], [1e-3], [0.1]])
    features = Features(PictureSpec.of(DataSettings()))
    together = features(waves)
    alone = torch.cat([features(wave[None]) for wave in waves])
    torch.testing.assert_close(together, alone)


def test_gain_and_number_format_do_not_matter_and_silence_is_finite():
    wave = torch.randn(1, 22050, generator=torch.Generator().manual_seed(0)) * 0.1
    features = Features(PictureSpec.of(DataSettings()))
    torch.testing.assert_close(features(wave), features(wave * 0.5), atol=1e-3, rtol=0)
    as_int16 = (wave * 32767).round().to(torch.int16)
    torch.testing.assert_close(features(wave), features(as_int16), atol=0.05, rtol=0)
    assert features(torch.zeros(1, 22050)).abs().max() == 0


def test_bytes_keep_decibels_to_a_third():
    decibels = torch.linspace(-80, 0, 1000).view(1, 10, 100)
    back = bytes_to_decibels(decibels_to_bytes(decibels))
    assert (back - decibels).abs().max() <= 80 / 255 / 2 + 1e-4


def test_pictures_of_a_song_match_the_published_plots(real_data):
    """The spec read from the pictures' corpus.json makes the same pictures from waveforms."""
    plots = prepare(DataSettings(corpus="pictures", root=str(real_data / "gtzan-pictures")))
    songs = prepare(DataSettings(corpus="gtzan", root=str(real_data / "gtzan")))
    spec = PictureSpec.from_corpus(plots.info, DataSettings())
    both = [i for i in songs.ids if i in plots.ids][:5]
    assert both
    for id_ in both:
        row = songs.ids.index(id_)
        wave = torch.from_numpy(songs.recording(row).copy())[None]
        ours = Features(spec).plain(wave)
        drawn = plots.recording(plots.ids.index(id_))
        plot = bytes_to_decibels(torch.from_numpy(drawn.copy())[None])
        assert abs(ours.shape[2] - plot.shape[2]) <= 3
        # the plots begin between one and two frames into the song
        pairs = [(ours[:, :, n : n + 700].flatten(), plot[:, :, :700].flatten()) for n in (1, 2)]
        assert max(torch.corrcoef(torch.stack(pair))[0, 1] for pair in pairs) > 0.95
