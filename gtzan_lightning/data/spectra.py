"""Spectra of waveforms and the weights that sum them; with a benchmark the only file that imports
torchaudio."""

from typing import TYPE_CHECKING

import torch
import torchaudio
from torch import Tensor, nn

if TYPE_CHECKING:
    from gtzan_lightning.data.features import PictureSpec

EMPHASIS = 0.97


def half(spec: "PictureSpec") -> int:
    return spec.n_fft // 2 + 1


def fourier(spec: "PictureSpec") -> nn.Module:
    """(clip, sample) -> (clip, Fourier bin, frame), complex."""
    return torchaudio.transforms.Spectrogram(
        n_fft=spec.n_fft, win_length=spec.window, hop_length=spec.hop_length,
        power=None, pad_mode="constant",
    )  # fmt: skip


def reflected(spec: "PictureSpec") -> nn.Module:
    """``fourier`` of a wave that is reflected at its ends, torchaudio's default."""
    return torchaudio.transforms.Spectrogram(
        n_fft=spec.n_fft, win_length=spec.window, hop_length=spec.hop_length, power=None
    )


class Emphasised(nn.Module):
    """EfficientAT's spectra: each sample less 0.97 of the one before, a symmetric Hann window."""

    def __init__(self, spec: "PictureSpec") -> None:
        super().__init__()
        self.transform = torchaudio.transforms.Spectrogram(
            n_fft=spec.n_fft, win_length=spec.window, hop_length=spec.hop_length, power=None,
            window_fn=torch.hann_window, wkwargs={"periodic": False},
        )  # fmt: skip

    def forward(self, wave: Tensor) -> Tensor:  # (clip, sample) -> (clip, Fourier bin, frame)
        return self.transform(wave[:, 1:] - EMPHASIS * wave[:, :-1])


def emphasis(spec: "PictureSpec") -> Tensor:
    """(Fourier bin,) what ``Emphasised`` multiplies power with."""
    angle = torch.linspace(0, torch.pi, half(spec))
    return 1 + EMPHASIS**2 - 2 * EMPHASIS * angle.cos()


def kaldi_weights(spec: "PictureSpec") -> Tensor:
    """(Fourier bin, mel bin) triangles of height 1 on Kaldi's mel scale."""
    banks, _ = torchaudio.compliance.kaldi.get_mel_banks(
        spec.bins, spec.n_fft, spec.sample_rate, spec.f_min, spec.f_max, 100.0, -500.0, 1.0
    )
    return nn.functional.pad(banks, (0, 1)).T.contiguous()


def htk_weights(spec: "PictureSpec") -> Tensor:
    """(Fourier bin, mel bin) triangles of height 1 on HTK's mel scale, torchaudio's default."""
    return torchaudio.functional.melscale_fbanks(
        half(spec), spec.f_min, spec.f_max, spec.bins, spec.sample_rate
    )


def mel_weights(spec: "PictureSpec") -> Tensor:
    """(Fourier bin, mel bin) weights of a mel picture."""
    return torchaudio.functional.melscale_fbanks(
        half(spec), spec.f_min, spec.f_max, spec.bins, spec.sample_rate,
        norm="slaney", mel_scale="slaney",
    )  # fmt: skip


def pitch_classes(spec: "PictureSpec") -> Tensor:
    """(Fourier bin, pitch class) weights, at 440 Hz tuning."""
    import librosa

    table = librosa.filters.chroma(sr=spec.sample_rate, n_fft=spec.n_fft, tuning=0.0)
    return torch.from_numpy(table).T


def cosines(spec: "PictureSpec") -> Tensor:
    """(mel bin, cepstral coefficient)"""
    return torchaudio.functional.create_dct(spec.coefficients, spec.bins, norm="ortho")


def fourier_hertz(spec: "PictureSpec") -> Tensor:
    return torch.linspace(0, spec.sample_rate / 2, half(spec))
