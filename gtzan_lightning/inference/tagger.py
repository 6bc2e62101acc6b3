"""Checkpoint in, genres out: the network and its features rebuilt from one file."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import ValidationError

from gtzan_lightning.data.audio import check_song, read, resample, to_mono
from gtzan_lightning.data.clips import cut, grid_starts
from gtzan_lightning.data.features import PictureSpec
from gtzan_lightning.data.pictures import Features, decibels_to_bytes
from gtzan_lightning.errors import UserError
from gtzan_lightning.models import model_class
from gtzan_lightning.models.checkpoint import CHECKPOINT, read_checkpoint
from gtzan_lightning.models.classifier import build_network
from gtzan_lightning.recipe.recipes import Recipe
from gtzan_lightning.recipe.settings import TrackSettings
from gtzan_lightning.version import __version__

CLIPS_AT_ONCE = 64


def fetch_checkpoint(where: str | Path, track: TrackSettings | None = None) -> dict[str, Any]:
    """The checkpoint of whatever ``Tagger.load`` takes. Raises as that does."""
    path = Path(where)
    if not path.is_file() and path.suffix != ".ckpt":
        from gtzan_lightning.tracking.reading import find_checkpoint

        path = find_checkpoint(str(where), track)
    return read_checkpoint(path)


class Tagger:
    """Waveforms -> genre probabilities, with the clips, picture and network of a checkpoint."""

    def __init__(self, checkpoint: dict[str, Any]) -> None:
        about = checkpoint[CHECKPOINT]
        try:
            self._rebuild(about, checkpoint["state_dict"])
        except (ValidationError, KeyError, TypeError, RuntimeError) as error:
            raise UserError(
                f"this checkpoint was made by gtzan_lightning {about['version']}, whose settings "
                f"or layers are not those of {__version__} ({' '.join(str(error).split())[:150]}): "
                "install that version, or train again"
            ) from None

    def _rebuild(self, about: dict[str, Any], state: dict[str, torch.Tensor]) -> None:
        self.recipe = Recipe.model_validate(about["recipe"])
        self.of_pictures = about["corpus_kind"] == "picture"
        self.genres: list[str] = about["genres"]
        self.mark = _digest(state)
        self.spec = PictureSpec.from_dict(about["picture"])
        self.features = Features(self.spec)
        self.stored = Features(self.spec.stored()) if self.of_pictures else None
        # the weights are in the checkpoint: nothing is to be fetched
        settings = self.recipe.model
        if hasattr(settings, "pretrained"):
            settings = settings.model_copy(update={"pretrained": False, "weights": None})
        cls = model_class(self.recipe.model.name).network_class
        self.network = build_network(cls, settings, len(self.genres), about["shape"]).eval()
        weights = {
            key.removeprefix("network."): value
            for key, value in state.items()
            if key.startswith("network.")
        }
        self.network.load_state_dict(weights)
        self.to("cpu")

    @classmethod
    def load(
        cls, where: str | Path, track: TrackSettings | None = None, device: str | None = None
    ) -> "Tagger":
        """Rebuild from a checkpoint file, an MLflow run id or ``models:/NAME/VERSION``.

        Args:
            track: the MLflow store of the run (none: MLFLOW_TRACKING_URI, else ``mlruns``).
            device: where to compute (none: a GPU if there is one).

        Raises:
            UserError: none of these, a run without a checkpoint, or as ``read_checkpoint`` does.
        """
        tagger = cls(fetch_checkpoint(where, track))
        return tagger.to(device or ("cuda" if torch.cuda.is_available() else "cpu"))

    def to(self, device: str) -> "Tagger":
        """Compute on another device."""
        self.device = torch.device(device)
        for module in (self.network, self.features, self.stored):
            if module is not None:
                module.to(self.device)
        return self

    def hear_file(self, path: Path, every: float | None = None) -> "Heard":
        """Genres of a sound file of any rate, channel count and length; see ``hear``."""
        return self.listen(self.read(path), every)

    def hear(self, wave: np.ndarray, rate: int, every: float | None = None) -> "Heard":
        """Genres of a song, as a whole and moment by moment.

        Args:
            wave: (sample,) or (sample, channel) floats in [-1, 1].
            rate: its samples a second.
            every: seconds from one moment to the next; none: the clips that vote for the song,
                side by side.

        Raises:
            BrokenSong: without samples, silent, or with values that are no numbers.
        """
        return self.listen(self.prepare(wave, rate), every)

    def read(self, path: Path) -> "Sound":
        """A sound file, ready to be listened to. Raises as ``hear`` does, and if unreadable."""
        return self.prepare(*read(path))

    def prepare(self, wave: np.ndarray, rate: int) -> "Sound":
        """``hear``'s first half, which needs no model: mono, at the model's rate, checked."""
        remarks = []
        mono = to_mono(wave[:, None] if wave.ndim == 1 else wave)
        own = self.spec.sample_rate
        if rate != own:
            remarks.append(f"resampled from {rate} to {own} Hz")
            mono = resample(mono, rate, own)
        check_song(mono, own, min_seconds=0.0)
        seconds, clip = len(mono) / own, self.recipe.data.clip_seconds
        if seconds < clip:
            remarks.append(f"{seconds:.2f} s, repeated to fill a clip of {clip:g} s")
        return Sound(mono.astype(np.float32), seconds, tuple(remarks))

    def listen(self, sound: "Sound", every: float | None = None) -> "Heard":
        """``hear``'s second half: the model's."""
        starts, votes = self.moments(sound)
        whole = votes.mean(0).softmax(0).numpy()
        if every is not None:
            starts, votes = self.moments(sound, every)
        return Heard(
            genres=self.genres,
            probabilities=whole,
            starts=starts,
            moments=votes.exp().numpy(),
            seconds=sound.seconds,
            remarks=sound.remarks,
        )

    @torch.inference_mode()
    def moments(
        self, sound: "Sound", every: float | None = None
    ) -> tuple[np.ndarray, torch.Tensor]:
        """Starts (clip,) in seconds, log-probabilities (clip, genre); ``every`` as in ``hear``."""
        song, steps = self._song(torch.from_numpy(sound.wave)[None])
        step_seconds = sound.seconds / song.shape[-1]
        if not self.of_pictures:
            step_seconds = 1 / self.spec.sample_rate
        starts = grid_starts(song.shape[-1], steps)
        if every is not None:
            last = max(0, song.shape[-1] - steps)
            starts = list(range(0, last + 1, max(1, round(every / step_seconds))))
        return np.array(starts) * step_seconds, self._clips(song, starts, steps)

    @torch.inference_mode()
    def probabilities(self, waves: np.ndarray) -> np.ndarray:
        """(song, sample) floats in [-1, 1] at ``spec.sample_rate`` -> (song, genre).

        Each song is cut into the evaluation grid of clips; a song's probabilities are the softmax
        of its clips' mean log-probability, the headline vote.
        """
        songs = torch.from_numpy(np.atleast_2d(np.asarray(waves, dtype=np.float32)))
        # one by one: a batch of any length needs the memory of one song
        return torch.cat([self.vote(song) for song in songs.split(1)]).cpu().numpy()

    def vote(self, waves: torch.Tensor) -> torch.Tensor:
        """``probabilities`` of and to tensors, all songs at once; what an export traces."""
        songs, steps = self._song(waves)
        starts = grid_starts(songs.shape[-1], steps)
        clips = torch.stack([songs[..., start : start + steps] for start in starts], 1)
        votes = self.network(self.features(clips.flatten(0, 1))).log_softmax(1)
        return votes.unflatten(0, (-1, len(starts))).mean(1).softmax(1)

    @torch.inference_mode()
    def pictures(self, wave: np.ndarray) -> tuple[torch.Tensor, list[int]]:
        """(sample,) at ``spec.sample_rate`` -> pictures of the voting clips, and their starts."""
        song, steps = self._song(torch.from_numpy(wave.astype(np.float32))[None])
        samples = len(wave) / song.shape[-1] if self.of_pictures else 1
        starts = grid_starts(song.shape[-1], steps)
        return self._pictures(song, starts, steps), [round(start * samples) for start in starts]

    @torch.inference_mode()
    def pictures_of(self, recording: np.ndarray) -> torch.Tensor:
        """A song as the run's corpus keeps it -> pictures of its voting clips."""
        song, steps = self._clippable(torch.from_numpy(np.array(recording))[None].to(self.device))
        return self._pictures(song, grid_starts(song.shape[-1], steps), steps)

    def _song(self, waves: torch.Tensor) -> tuple[torch.Tensor, int]:
        """(song, sample) -> what clips are cut from, time last, and a clip's steps."""
        songs = waves.to(self.device)
        if self.stored is not None:
            # as the corpus was packed: a song's own loudest moment is 0 dB, a byte for each pixel
            songs = decibels_to_bytes(self.stored.plain(songs))
        return self._clippable(songs)

    def _clippable(self, songs: torch.Tensor) -> tuple[torch.Tensor, int]:
        """Songs as a corpus keeps them, repeated if shorter than a clip; and a clip's steps."""
        seconds = self.recipe.data.clip_seconds
        steps = max(1, round(seconds * self.spec.sample_rate))
        if self.of_pictures:
            steps = self.spec.frames(seconds)
        if songs.shape[-1] < steps:
            songs = cut(songs, 0, steps)
        return songs, steps

    def _pictures(self, song: torch.Tensor, starts: list[int], steps: int) -> torch.Tensor:
        """(1, ..., step) -> (clip, channel, bin, frame)"""
        return self.features(torch.cat([song[..., start : start + steps] for start in starts]))

    def _clips(self, song: torch.Tensor, starts: list[int], steps: int) -> torch.Tensor:
        """(1, ..., step) -> (clip, genre) log-probabilities."""
        found = []
        for n in range(0, len(starts), CLIPS_AT_ONCE):
            some = starts[n : n + CLIPS_AT_ONCE]
            found.append(self.network(self._pictures(song, some, steps)).log_softmax(1))
        return torch.cat(found).cpu()


def _digest(state: dict[str, torch.Tensor]) -> str:
    """Equal for equal weights."""
    found = hashlib.sha256()
    for name in sorted(state):
        found.update(name.encode())
        found.update(state[name].contiguous().numpy().tobytes())
    return found.hexdigest()[:8]


@dataclass(frozen=True)
class Sound:
    """A song that a tagger can listen to: mono, at its rate."""

    wave: np.ndarray  # (sample,) float32
    seconds: float
    remarks: tuple[str, ...]


@dataclass(frozen=True)
class Heard:
    """What a tagger heard in a song."""

    genres: list[str]
    probabilities: np.ndarray  # (genre,) of the whole song
    starts: np.ndarray  # (clip,) seconds
    moments: np.ndarray  # (clip, genre) probabilities
    seconds: float
    remarks: tuple[str, ...]  # what was done to the sound before it was heard

    @property
    def genre(self) -> str:
        return self.genres[int(self.probabilities.argmax())]
