"""Why a genre: maps over a picture, whether they mean anything, and how they sound.

A map is (bin, frame), not negative, 1 at its greatest. Methods:

- ``grad_cam`` (Selvaraju et al., ICCV 2017): for networks with ``trunk`` and ``head``;
- ``saliency`` (Simonyan et al., ICLR workshop 2014): size of the gradient on the picture;
- ``integrated_gradients`` (Sundararajan et al., ICML 2017): from the picture's mean (0, or black in
  colour) to the picture, positive parts.

Checks: ``deletion`` and ``insertion`` (Petsiuk et al., BMVC 2018) and the map of a network with
random weights (Adebayo et al., NeurIPS 2018), which a map that means anything does not resemble.
"""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from gtzan_lightning.data.features import FEATURES, PictureSpec
from gtzan_lightning.errors import UserError
from gtzan_lightning.inference.prediction import Prediction
from gtzan_lightning.inference.sound import Sound
from gtzan_lightning.inference.tagger import Tagger
from gtzan_lightning.models.layers import has_trunk
from gtzan_lightning.results.explanation import ExplanationPlot

STEPS = 32  # of the integrated gradients' path, and of deletion and insertion
Method = Callable[[nn.Module, Tensor, int], Tensor]


def grad_cam(network: nn.Module, picture: Tensor, genre: int) -> Tensor:
    """(1, channel, bin, frame) -> (bin, frame). Raises UserError for networks without a trunk."""
    if not has_trunk(network):
        raise UserError(
            f"{type(network).__name__} has no convolutional trunk for Grad-CAM: take "
            "--method saliency or integrated_gradients"
        )
    maps = network.trunk(picture).detach().requires_grad_()
    with torch.backends.cudnn.flags(enabled=False):  # cuDNN's RNNs refuse gradients in evaluation
        (slope,) = torch.autograd.grad(network.head(maps)[0, genre], maps)
    heat = (slope.mean((2, 3), keepdim=True) * maps).sum(1, keepdim=True).relu()
    heat = nn.functional.interpolate(heat, picture.shape[2:], mode="bilinear")
    return _scaled(heat[0, 0].detach())


def saliency(network: nn.Module, picture: Tensor, genre: int) -> Tensor:
    """(1, channel, bin, frame) -> (bin, frame)"""
    return _scaled(_slope(network, picture, genre).abs().amax(1)[0])


def integrated_gradients(network: nn.Module, picture: Tensor, genre: int) -> Tensor:
    """(1, channel, bin, frame) -> (bin, frame)"""
    shares = (torch.arange(STEPS, device=picture.device) + 0.5) / STEPS
    slopes = torch.cat([_slope(network, share * picture, genre) for share in shares])
    return _scaled((slopes.mean(0, keepdim=True) * picture).sum(1)[0].relu())


METHODS: dict[str, Method] = {
    method.__name__: method for method in (grad_cam, saliency, integrated_gradients)
}


@dataclass(frozen=True)
class Meaning:
    """Whether a map means anything."""

    deletion: float  # mean probability while the most important pixels are taken away first
    insertion: float  # mean probability while they are put in first
    random_deletion: float  # the same for pixels in random order
    random_insertion: float
    random_weights: float  # rank correlation with the map of an untrained network

    def verdict(self) -> str:
        """Such as "the map marks what the network used"."""
        finds = self.deletion < self.random_deletion and self.insertion > self.random_insertion
        depends = abs(self.random_weights) < 0.5
        return {
            (True, True): "the map marks what the network used",
            (True, False): "the map marks what the network used, but looks alike without training",
            (False, True): "the map marks the network's evidence no better than chance",
            (False, False): "the map shows the picture, not the network",
        }[finds, depends]

    def sentence(self) -> str:
        """Such as "deletion 0.21 (random order 0.48), insertion 0.71 (0.50): …"."""
        return (
            f"deletion {self.deletion:.2f} (random order {self.random_deletion:.2f}), insertion "
            f"{self.insertion:.2f} ({self.random_insertion:.2f}), correlation with an untrained "
            f"network's map {self.random_weights:.2f}: {self.verdict()}"
        )


def examine(
    network: nn.Module,
    picture: Tensor,
    genre: int,
    method: Method,
    seed: int,
    temperature: float,
    steps: int = STEPS,
) -> tuple[Tensor, Meaning]:
    """The map (bin, frame) of one picture, with deletion, insertion and the untrained network's."""
    heat = method(network, picture, genre)
    chance = torch.rand(heat.shape, generator=torch.Generator().manual_seed(seed))
    own = _curves(network, picture, genre, heat, temperature, steps)
    by_chance = _curves(network, picture, genre, chance.to(heat.device), temperature, steps)
    untrained = deepcopy(network)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        for module in untrained.modules():
            if hasattr(module, "reset_parameters"):
                cast(Any, module).reset_parameters()
    other = method(untrained.eval(), picture, genre)
    # scipy's takes two seconds to import
    ranked = pd.DataFrame({"own": heat.flatten().cpu(), "other": other.flatten().cpu()})
    alike = ranked.corr("spearman").to_numpy()[0, 1]
    return heat, Meaning(*own, *by_chance, float(np.nan_to_num(alike)))


def render(wave: np.ndarray, spec: PictureSpec, shown: np.ndarray) -> np.ndarray:
    """The sound under a map: its Fourier bins are weighed by the map and made sound again.

    Args:
        wave: (sample,) of the clip.
        shown: (bin, frame) map over its picture.

    Raises:
        UserError: the picture has no frequency axis that could be heard.
    """
    feature = FEATURES[spec.picture]
    if feature.hertz is None:
        raise UserError(f"a map over {spec.picture} pictures can't be heard: it has no frequencies")
    window = torch.hann_window(spec.window)
    sound = torch.from_numpy(np.ascontiguousarray(wave))
    sizes = (spec.n_fft, spec.hop_length, spec.window)
    fourier = torch.stft(sound, *sizes, window, return_complex=True)
    weights = torch.from_numpy(shown).float()[None, None]
    size = (spec.rows, fourier.shape[1])
    weights = nn.functional.interpolate(weights, size, mode="bilinear")[0, 0]
    if feature.weights:
        bank = feature.weights(spec)  # (Fourier bin, mel bin)
        weights = (bank / bank.sum(1, keepdim=True).clamp_min(1e-9)) @ weights
    return torch.istft(fourier * weights, *sizes, window, length=len(sound)).numpy()


def hertz_of_rows(spec: PictureSpec, rows: int) -> np.ndarray | None:
    """(row,) frequency at the middle of every row of a picture; None where rows are none."""
    hertz = FEATURES[spec.picture].hertz
    if hertz is None:
        return None
    middles = hertz(spec).numpy()
    return np.interp(np.linspace(0, 1, rows), np.linspace(0, 1, len(middles)), middles)


@dataclass(frozen=True)
class Explained:
    """What is predicted for a song, and why: of the clip that speaks most for a genre.

    Attributes:
        genre, probability: the one that is explained.
        plot: the clip's picture, the map over it, and the genres over the song.
        clip: (sample,) what is heard in it.
        marked: (sample,) what the map marks of it; None where its picture has no frequencies, or it
            is too short to have one.
        rate: their samples a second.
    """

    prediction: Prediction
    genre: str
    probability: float
    meaning: Meaning
    plot: ExplanationPlot
    clip: np.ndarray
    marked: np.ndarray | None
    rate: int


def explain_sound(
    tagger: Tagger,
    name: str,
    sound: Sound,
    method: str | None = None,
    genre: str | None = None,
    steps: int = STEPS,
) -> Explained:
    """Why a genre is predicted for a sound.

    Args:
        name: of the song, in titles.
        method: of ``METHODS`` (none: Grad-CAM where the network has a trunk, else saliency).
        genre: the genre to explain (none: the predicted one).
        steps: of deletion and insertion; the genres over the song have twice as many.

    Raises:
        UserError: a method that the network has not, a genre that it does not know, or pictures
            that lie in the margins of a figure.
    """
    _check(tagger, genre)
    method = method or ("grad_cam" if has_trunk(tagger.network) else "saliency")
    song = tagger.predict_sound(sound)
    genre = genre or song.genre
    number = tagger.genres.index(genre)
    pictures, starts = tagger.sound_to_pictures(sound)
    strongest = int(song.clip_probabilities[:, number].argmax())
    picture = pictures[strongest : strongest + 1].clone()
    heat, meaning = examine(
        tagger.network, picture, number, METHODS[method], 0, tagger.temperature, steps
    )
    probability = float(song.probabilities[number])
    titles = (f"{method.replace('_', ' ')} for {genre}", f"{name}: {genre} {probability:.2f}")
    shown = picture[0].mean(0).cpu().numpy(), heat.cpu().numpy()
    curve = tagger.predict_sound(sound, every=max(0.25, sound.seconds / (2 * steps)))
    plot = _plot(tagger, sound, shown, curve, starts[strongest], titles)
    length = round(tagger.recipe.data.clip_seconds * sound.rate)
    clip = sound.wave[starts[strongest] : starts[strongest] + length]
    marked = _marked(tagger.spec, clip, shown[1])
    return Explained(song, genre, probability, meaning, plot, clip, marked, sound.rate)


def _check(tagger: Tagger, genre: str | None) -> None:
    if tagger.spec.figure_aspect:
        raise UserError(
            "pictures in a figure's margins (data.figure_aspect) have no axes to draw a map over: "
            "explain a run without them"
        )
    if genre is not None and genre not in tagger.genres:
        raise UserError(f"--genre {genre}: the model knows {', '.join(tagger.genres)}")


def _plot(
    tagger: Tagger,
    sound: Sound,
    shown: tuple[np.ndarray, np.ndarray],
    curve: Prediction,
    start: int,
    titles: tuple[str, str],
) -> ExplanationPlot:
    """Args: shown: picture and map (bin, frame) of a clip; curve: of clips all over the song;
    start: the first sample of the clip."""
    seconds, first = tagger.recipe.data.clip_seconds, start / sound.rate
    return ExplanationPlot(
        *shown,
        span=(first, min(first + seconds, max(sound.seconds, seconds))),
        hertz=hertz_of_rows(tagger.spec, len(shown[0])),
        starts=curve.starts,
        curves=curve.clip_probabilities,
        genres=tagger.genres,
        map_title=titles[0],
        title=titles[1],
    )


def _marked(spec: PictureSpec, clip: np.ndarray, heat: np.ndarray) -> np.ndarray | None:
    """What a map over the picture marks of a clip; None where nothing could be heard of it."""
    kept = spec.kept
    is_apart = 2 * kept.hop_length > kept.window  # windows that no sound can be made of again
    if FEATURES[spec.picture].hertz is None or is_apart or len(clip) <= kept.n_fft // 2:
        return None
    return render(clip, kept, _on_kept_rows(heat, spec))


def _on_kept_rows(heat: np.ndarray, spec: PictureSpec) -> np.ndarray:
    """(bin, frame) over a picture -> over that of the corpus which it was made of, by frequency."""
    if not spec.made_of:
        return heat
    own, kept = hertz_of_rows(spec, len(heat)), hertz_of_rows(spec.made_of, spec.made_of.rows)
    assert own is not None
    assert kept is not None
    return np.stack([np.interp(kept, own, column) for column in heat.T], 1)


def _slope(network: nn.Module, picture: Tensor, genre: int) -> Tensor:
    picture = picture.detach().requires_grad_()
    with torch.backends.cudnn.flags(enabled=False):
        (slope,) = torch.autograd.grad(network(picture)[0, genre], picture)
    return slope


@torch.inference_mode()
def _curves(
    network: nn.Module, picture: Tensor, genre: int, shown: Tensor, temperature: float, steps: int
) -> tuple[float, float]:
    """Mean probability while pixels are deleted, and while they are inserted, in a map's order."""
    rank = shown.flatten().argsort(descending=True).argsort().view(shown.shape)
    edges = torch.linspace(0, rank.numel(), steps + 1, device=picture.device)
    gone = (rank < edges[:, None, None]).unsqueeze(1)  # (step, 1, bin, frame)
    means = []
    for kept in (~gone, gone):
        logits = torch.cat([network(picture * part) for part in kept.split(16)])
        means.append(float((logits / temperature).softmax(1)[:, genre].mean()))
    return means[0], means[1]


def _scaled(shown: Tensor) -> Tensor:
    return shown / shown.max().clamp_min(1e-12)
