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
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from scipy.stats import spearmanr
from torch import Tensor, nn

from gtzan_lightning.data.audio import write
from gtzan_lightning.data.features import FEATURES, PictureSpec
from gtzan_lightning.errors import UserError
from gtzan_lightning.files import replacing
from gtzan_lightning.inference.sound import Sound
from gtzan_lightning.inference.tagger import Prediction, Tagger
from gtzan_lightning.models.layers import has_trunk
from gtzan_lightning.results.plots import explanation

STEPS = 32  # of the integrated gradients' path, and of deletion and insertion
Method = Callable[[nn.Module, Tensor, int], Tensor]
Clip = tuple[np.ndarray, np.ndarray, int]  # picture and map (bin, frame), first sample


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

    def sentence(self) -> str:
        """Such as "deletion 0.21 (random order 0.48), insertion 0.71 (0.50): …"."""
        finds = self.deletion < self.random_deletion and self.insertion > self.random_insertion
        depends = abs(self.random_weights) < 0.5
        verdict = {
            (True, True): "the map marks what the network used",
            (True, False): "the map marks what the network used, but looks alike without training",
            (False, True): "the map marks the network's evidence no better than chance",
            (False, False): "the map shows the picture, not the network",
        }[finds, depends]
        return (
            f"deletion {self.deletion:.2f} (random order {self.random_deletion:.2f}), insertion "
            f"{self.insertion:.2f} ({self.random_insertion:.2f}), correlation with an untrained "
            f"network's map {self.random_weights:.2f}: {verdict}"
        )


def examine(
    network: nn.Module, picture: Tensor, genre: int, method: Method, seed: int, temperature: float
) -> tuple[Tensor, Meaning]:
    """The map (bin, frame) of one picture, with deletion, insertion and the untrained network's."""
    heat = method(network, picture, genre)
    chance = torch.rand(heat.shape, generator=torch.Generator().manual_seed(seed))
    own = _curves(network, picture, genre, heat, temperature)
    by_chance = _curves(network, picture, genre, chance.to(heat.device), temperature)
    untrained = deepcopy(network)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        for module in untrained.modules():
            if hasattr(module, "reset_parameters"):
                cast(Any, module).reset_parameters()
    other = method(untrained.eval(), picture, genre)
    alike = spearmanr(heat.flatten().cpu(), other.flatten().cpu()).statistic
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
    """What is predicted for a song, and why."""

    prediction: Prediction
    genre: str  # the one that is explained
    probability: float
    meaning: Meaning
    files: list[Path]


def explain_song(
    tagger: Tagger,
    name: str,
    sound: Sound,
    out: Path,
    method: str | None = None,
    genre: str | None = None,
) -> Explained:
    """Why a genre is predicted, drawn and rendered: ``NAME.png``, ``NAME.wav`` of a folder.

    Args:
        method: of ``METHODS`` (none: Grad-CAM where the network has a trunk, else saliency).
        genre: the genre to explain (none: the predicted one).

    Raises:
        UserError: a method that the network has not, a genre that it does not know, pictures that
            lie in the margins of a figure, or a folder that can't be written.
    """
    if tagger.spec.figure_aspect:
        raise UserError(
            "pictures in a figure's margins (data.figure_aspect) have no axes to draw a map over: "
            "explain a run without them"
        )
    if genre is not None and genre not in tagger.genres:
        raise UserError(f"--genre {genre}: the model knows {', '.join(tagger.genres)}")
    method = method or ("grad_cam" if has_trunk(tagger.network) else "saliency")
    song = tagger.predict_sound(sound)
    genre = genre or song.genre
    number = tagger.genres.index(genre)
    pictures, starts = tagger.sound_to_pictures(sound)
    strongest = int(song.clip_probabilities[:, number].argmax())
    picture = pictures[strongest : strongest + 1].clone()
    heat, meaning = examine(tagger.network, picture, number, METHODS[method], 0, tagger.temperature)
    probability = float(song.probabilities[number])
    titles = (f"{method.replace('_', ' ')} for {genre}", f"{name}: {genre} {probability:.2f}")
    clip = (picture[0].mean(0).cpu().numpy(), heat.cpu().numpy(), starts[strongest])
    files = _write(tagger, sound, clip, titles, out / name)
    return Explained(song, genre, probability, meaning, files)


def _write(
    tagger: Tagger, sound: Sound, clip: Clip, titles: tuple[str, str], out: Path
) -> list[Path]:
    """The plot of a clip, and its sound where it has one."""
    picture, heat, start = clip
    spec, rate, seconds = tagger.spec, sound.rate, tagger.recipe.data.clip_seconds
    curve = tagger.predict_sound(sound, every=max(0.25, sound.seconds / 60))
    span = (start / rate, min(start / rate + seconds, max(sound.seconds, seconds)))
    curves, hertz = (curve.starts, curve.clip_probabilities), hertz_of_rows(spec, len(picture))
    plot = explanation(picture, heat, span, hertz, curves, tagger.genres, titles)
    files = [out.with_name(f"{out.name}.png")]
    try:
        with replacing(files[0]) as part:
            plot.savefig(part, format="png", dpi=110)
        if FEATURES[spec.picture].hertz:
            files.append(out.with_name(f"{out.name}.wav"))
            piece = sound.wave[start : start + round(seconds * rate)]
            with replacing(files[1]) as part:
                write(part, render(piece, spec.kept, _on_kept_rows(heat, spec)), rate)
    except OSError as error:
        reason = f"explanations can't be written to {out.parent}: {error.strerror}"
        raise UserError(reason) from None
    return files


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
    network: nn.Module, picture: Tensor, genre: int, shown: Tensor, temperature: float
) -> tuple[float, float]:
    """Mean probability while pixels are deleted, and while they are inserted, in a map's order."""
    rank = shown.flatten().argsort(descending=True).argsort().view(shown.shape)
    edges = torch.linspace(0, rank.numel(), STEPS + 1, device=picture.device)
    gone = (rank < edges[:, None, None]).unsqueeze(1)  # (step, 1, bin, frame)
    means = []
    for kept in (~gone, gone):
        logits = torch.cat([network(picture * part) for part in kept.split(16)])
        means.append(float((logits / temperature).softmax(1)[:, genre].mean()))
    return means[0], means[1]


def _scaled(shown: Tensor) -> Tensor:
    return shown / shown.max().clamp_min(1e-12)
