"""Waveform in, genres out: the network and its features rebuilt from one checkpoint."""

import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from gtzan_lightning.data.audio import BrokenSong, forget
from gtzan_lightning.data.clips import cut, grid_starts
from gtzan_lightning.data.features import PictureSpec
from gtzan_lightning.data.pictures import Features, decibels_to_bytes, stored_picture
from gtzan_lightning.errors import UserError
from gtzan_lightning.inference.prediction import Prediction
from gtzan_lightning.inference.share import FILE
from gtzan_lightning.inference.sound import Sound, file_to_sound, wave_to_sound
from gtzan_lightning.models import MODELS, build_network, check_sizes
from gtzan_lightning.models.checkpoint import (
    Checkpoint,
    Contents,
    of_another_version,
    read_checkpoint,
)
from gtzan_lightning.models.layers import Trunked, has_trunk
from gtzan_lightning.models.vote import headline
from gtzan_lightning.recipe.command_line import READY
from gtzan_lightning.recipe.settings import TrackSettings

CLIPS_AT_ONCE = 64  # on a GPU
FEW = 8  # on a processor: what is made of them stays in its caches, in half the time


def fetch_checkpoint(
    where: str | Path, track: TrackSettings | None = None, raw: bool = False
) -> Checkpoint:
    """The checkpoint of whatever ``Tagger.load`` takes. Raises as that does."""
    path = FILE if where == READY else Path(where)
    if str(where).startswith("hf://"):
        from gtzan_lightning.inference.hub import download

        path = download(str(where))
    elif not path.is_file() and path.suffix != ".ckpt":
        from gtzan_lightning.tracking.finding import checkpoint_of

        with tempfile.TemporaryDirectory() as folder:
            checkpoint = read_checkpoint(
                checkpoint_of(str(where), track or TrackSettings(), folder)
            )
        return checkpoint.raw() if raw else checkpoint
    checkpoint = read_checkpoint(path)
    return checkpoint.raw() if raw else checkpoint


class Tagger:
    """Waveforms -> genre probabilities, with the clips, picture, network and vote of a checkpoint.

    Its temperature divides the logits of every clip, so that clips, songs and exports have it;
    that changes no song's genre. ``Tagger(checkpoint.raw())`` leaves it out.

    A *recording* is a song as the run's corpus keeps it, time last: (song, sample), or bytes
    (song, bin, frame) where the corpus keeps pictures.

    Args:
        network: picture -> logits, of a checkpoint whose network is none of this package's; it
            gets the checkpoint's weights.

    Raises:
        UserError: settings or layers are not those of this version, or no network is given for a
            checkpoint that needs one.
    """

    def __init__(self, checkpoint: Checkpoint, network: nn.Module | None = None) -> None:
        contents, state = checkpoint.contents, checkpoint.state_dict
        self.recipe, self.genres = contents.recipe, contents.genres
        self.temperature = contents.temperature
        self.digest = checkpoint.digest
        try:
            self.spec = PictureSpec.from_dict(contents.picture)
            self.sample_rate = self.spec.kept.sample_rate
            self.features = Features(self.spec)
            of_pictures = contents.corpus_kind == "picture"
            self.stored = Features(self.spec.stored()) if of_pictures else None
            own = (key for key in state if key.startswith("network."))
            weights = {key.removeprefix("network."): state[key] for key in own}
            self.network = (network or _untrained(contents, weights)).eval()
            self.network.load_state_dict(weights)
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise of_another_version(contents.version, error) from None
        modules = (self.network, self.features, self.stored)
        self.modules = nn.ModuleList(module for module in modules if module is not None)
        self.to("cpu")

    def named(self, where: str) -> str:
        """Such as ``ready: mn, digest 02912a03``, as its card has it.

        Args:
            where: as ``load`` takes it; of a file no folders are told, of a run's id the beginning.
        """
        if Path(where).is_file():
            where = Path(where).name
        short = where[:8] if re.fullmatch(r"[0-9a-f]{32}", where) else where
        return f"{short}: {self.recipe.title}, digest {self.digest}"

    @classmethod
    def load(
        cls,
        where: str | Path,
        track: TrackSettings | None = None,
        device: str | None = None,
        raw: bool = False,
    ) -> "Tagger":
        """Rebuild from a file, a run, ``models:/NAME/VERSION`` or ``hf://OWNER/NAME``.

        A run is meant by its id or the beginning of it, its name, ``last`` or ``best`` (see
        ``tracking.finding.run_id``). ``ready`` is the checkpoint that comes with the package
        (docs/model-card.md).

        Args:
            track: the MLflow store of the run (none: MLFLOW_TRACKING_URI, else ``mlruns``).
            device: where to compute (none: a GPU if there is one).
            raw: leave out the checkpoint's temperature.

        Raises:
            UserError: none of these, a run without a checkpoint, or as ``read_checkpoint`` does.
        """
        tagger = cls(fetch_checkpoint(where, track, raw))
        return tagger.to(device or ("cuda" if torch.cuda.is_available() else "cpu"))

    @property
    def least_seconds(self) -> float:
        """Seconds of the shortest song in training: a clip, less where songs were repeated."""
        data = self.recipe.data
        return min(data.min_seconds, data.clip_seconds) if data.repeat else data.clip_seconds

    def to(self, device: str) -> "Tagger":
        """Compute on another device."""
        self.device = torch.device(device)
        self.modules.to(self.device)
        return self

    def predict(self, wave: np.ndarray, rate: int, every: float | None = None) -> Prediction:
        """The genres of a song, as a whole and clip by clip.

        Args:
            wave: (sample,) or (sample, channel) floats in [-1, 1].
            rate: its samples a second.
            every: seconds from the start of one clip to that of the next, in what is said of
                clips; none: the clips that vote for the song, side by side.

        Raises:
            BrokenSong: without samples, silent, or with values that are no numbers.
        """
        return self.predict_sound(wave_to_sound(wave, rate, self.sample_rate), every)

    def predict_file(self, path: Path, every: float | None = None) -> Prediction:
        """``predict`` of any sound file. Raises as that does, and if the file can't be read."""
        return self.predict_sound(file_to_sound(path, self.sample_rate), every)

    @torch.inference_mode()
    def predict_sound(self, sound: Sound, every: float | None = None) -> Prediction:
        """``predict`` of a sound at ``sample_rate``. Raises BrokenSong where the answer is none."""
        recording = self._recording(sound)
        seconds_per_step = sound.seconds / recording.shape[-1]
        recording, steps = self._clippable(recording)
        starts = grid_starts(recording.shape[-1], steps)
        clips = voting = self._log_probs(sound, recording, starts, steps)
        if every is not None:
            hop = max(1, round(every / seconds_per_step))
            starts = list(range(0, recording.shape[-1] - steps + 1, hop))
            clips = self._log_probs(sound, recording, starts, steps)
        if not (clips.isfinite().all() and voting.isfinite().all()):
            raise BrokenSong("unpredictable", "the network gives no number for it")
        remarks, clip = sound.remarks, self.recipe.data.clip_seconds
        if sound.seconds < clip:
            remarks += (f"{sound.seconds:.2f} s, repeated to fill a clip of {clip:g} s",)
        return Prediction(
            genres=self.genres,
            probabilities=headline(voting.sum(0), len(voting)).exp().numpy(),
            starts=np.array(starts) * seconds_per_step,
            clip_probabilities=clips.exp().numpy(),
            seconds=sound.seconds,
            remarks=remarks,
        )

    @torch.inference_mode()
    def probabilities(self, waves: np.ndarray) -> np.ndarray:
        """(song, sample) floats in [-1, 1] at ``sample_rate`` -> (song, genre).

        Each song is cut into the evaluation grid of clips, which vote by the mean of their
        log-probabilities, the headline vote.
        """
        songs = torch.from_numpy(np.atleast_2d(np.asarray(waves, dtype=np.float32)))
        # one by one: a batch of any length needs the memory of one song
        each = [self.waves_to_probabilities(song) for song in songs.split(1)]
        return torch.cat(each).cpu().numpy()

    def waves_to_probabilities(self, waves: Tensor) -> Tensor:
        """``probabilities`` of and to tensors, all songs at once; what an export traces."""
        recordings, steps = self._clippable(self._recordings(waves))
        starts = grid_starts(recordings.shape[-1], steps)
        clips = torch.stack([recordings[..., start : start + steps] for start in starts], 1)
        log_probs = self._of_pictures(self.features(clips.flatten(0, 1)))
        return headline(log_probs.unflatten(0, (-1, len(starts))).sum(1), len(starts)).exp()

    def embed(self, wave: np.ndarray, rate: int) -> np.ndarray:
        """A song as (number,) unit vector, the network's own view of it; see ``predict``."""
        sound = wave_to_sound(wave, rate, self.sample_rate)
        return self.recording_to_vector(self._recording(sound))

    @torch.inference_mode()
    def recording_to_vector(self, recording: Tensor) -> np.ndarray:
        """A recording of one song -> (number,) unit vector.

        The mean over clips of its embeddings (``Trunked.embed``), of its logits without a trunk.
        """
        recording, steps = self._clippable(recording)
        starts = grid_starts(recording.shape[-1], steps)
        each = [self._embedded(few) for few in self._pictures(recording, starts, steps)]
        vector = torch.cat(each).mean(0)
        return (vector / vector.norm().clamp_min(1e-9)).cpu().numpy()

    @torch.inference_mode()
    def sound_to_pictures(self, sound: Sound) -> tuple[Tensor, list[int]]:
        """Pictures (clip, channel, bin, frame) of the voting clips, and their first samples."""
        recording = self._recording(sound)
        recording, steps = self._clippable(recording)
        starts = grid_starts(recording.shape[-1], steps)
        pictures = torch.cat(list(self._pictures(recording, starts, steps)))
        samples = len(sound.wave) / recording.shape[-1]
        return pictures, [round(start * samples) for start in starts]

    def _recording(self, sound: Sound) -> Tensor:
        """A song as a recording; of waveforms it stays where it is, for clips go to the device."""
        if self.stored is None:
            return torch.from_numpy(sound.wave)[None]
        return stored_picture(self.stored, sound.wave)[None]

    def _recordings(self, waves: Tensor) -> Tensor:
        """(song, sample) at ``sample_rate`` -> recordings."""
        waves = waves.to(self.device)
        if self.stored is None:
            return waves
        # as the corpus was packed: a song's own loudest moment is 0 dB, a byte for each pixel
        return decibels_to_bytes(self.stored.plain(waves))

    def _clippable(self, recordings: Tensor) -> tuple[Tensor, int]:
        """Recordings, repeated if shorter than a clip; and a clip's steps."""
        seconds = self.recipe.data.clip_seconds
        steps = max(1, round(seconds * self.sample_rate))
        if self.stored is not None:
            steps = self.spec.kept.frames(seconds)
        if recordings.shape[-1] < steps:
            recordings = cut(recordings, 0, steps)
        return recordings, steps

    def _pictures(self, recording: Tensor, starts: list[int], steps: int) -> Iterator[Tensor]:
        """A recording of one song -> pictures of its clips, some at a time."""
        some = FEW if self.device.type == "cpu" else CLIPS_AT_ONCE
        for n in range(0, len(starts), some):
            clips = [recording[..., start : start + steps] for start in starts[n : n + some]]
            yield self.features(torch.cat(clips).to(self.device))

    def _embedded(self, pictures: Tensor) -> Tensor:
        """(clip, channel, bin, frame) -> (clip, number)"""
        if isinstance(self.network, Trunked):
            return self.network.embed(pictures)
        if has_trunk(self.network):
            return self.network.trunk(pictures).mean((2, 3))
        return cast(Tensor, self.network(pictures))

    def _log_probs(self, sound: Sound, recording: Tensor, starts: list[int], steps: int) -> Tensor:
        """The recording of a song -> (clip, genre) log-probabilities of its clips."""
        log_probs = []
        for pictures in self._pictures(recording, starts, steps):
            log_probs.append(self._of_pictures(pictures))
            forget(sound.wave)
        return torch.cat(log_probs).cpu()

    def _of_pictures(self, pictures: Tensor) -> Tensor:
        """(clip, channel, bin, frame) -> (clip, genre) log-probabilities."""
        return (self.network(pictures) / self.temperature).log_softmax(1)


def _untrained(contents: Contents, weights: dict[str, Tensor]) -> nn.Module:
    settings = contents.recipe.model
    if settings.name not in MODELS:
        raise UserError(
            f"the network of this checkpoint ({settings.name}) is none of this package's: give it "
            "as Tagger(checkpoint, network)"
        )
    if hasattr(settings, "pretrained"):  # the weights are in the checkpoint, nothing to fetch
        settings = settings.model_copy(update={"pretrained": False, "weights": None})
    check_sizes(settings, len(contents.genres), contents.shape, weights)
    return build_network(settings, len(contents.genres), contents.shape)
