"""What every augmentation does to one clip, before and after, as one plot each."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from gtzan_lightning.data.augment import PICTURES, WAVES, PictureAugmentation, WaveAugmentation
from gtzan_lightning.data.clips import Clips
from gtzan_lightning.data.module import GenreData
from gtzan_lightning.errors import UserError
from gtzan_lightning.files import replacing
from gtzan_lightning.recipe.identity import flat
from gtzan_lightning.recipe.recipes import Recipe
from gtzan_lightning.recipe.settings import AugmentSettings
from gtzan_lightning.results.plots import before_and_after
from gtzan_lightning.tracking.reading import check_output
from gtzan_lightning.tracking.tracker import Tracker
from gtzan_lightning.training.report import run_name, tags

OFF = dict.fromkeys(("audio", "spectrogram", *WAVES, *PICTURES), 0.0)
DRAWS = 100  # of an augmentation that changes nothing, before it is said so


@dataclass(frozen=True)
class Change:
    """One augmentation of one clip: (bin, frame) pictures, and waveforms where there are any."""

    name: str
    pictures: tuple[np.ndarray, np.ndarray]
    waves: tuple[np.ndarray, np.ndarray] | None = None


def plot_augmentations(recipe: Recipe, song: str | None, out: Path) -> tuple[list[Path], list[str]]:
    """Draw every augmentation of a recipe into a folder, and into an MLflow run of its own.

    Returns:
        The plots, and a line for each augmentation that changes nothing.

    Raises:
        UserError: no such song, or the folder can't be written.
    """
    check_output(recipe.track)
    data = GenreData(recipe)
    data.setup()
    clips = _two_clips(data, song)
    pictures, remarks = picture_changes(data, clips)
    changes = [*wave_changes(data, clips[0].numpy()), *pictures]
    tracker = Tracker(recipe.track)
    # no model is trained: without a corpus tag the run stays out of the comparison tables
    kept = {k: v for k, v in tags(recipe, data).items() if k != "corpus"}
    tracker.start(f"augmentation-{run_name(recipe, data)}", kept)
    files = []
    with tracker.recording():
        tracker.log_params(flat(recipe))
        try:
            for change in changes:
                plot = before_and_after(
                    change.name, change.pictures, change.waves, recipe.data.clip_seconds
                )
                file = out / f"{change.name.replace(' ', '_')}.png"
                with replacing(file) as part:
                    plot.savefig(part, format="png", dpi=110)
                tracker.log(plot, file.name)
                files.append(file)
        except OSError as error:
            raise UserError(f"plots can't be written to {out}: {error.strerror}") from None
    return files, remarks


def wave_changes(data: GenreData, clip: np.ndarray) -> list[Change]:
    """Every augmentation of a waveform, int16 (sample,); none of packed pictures."""
    if data.corpus.is_pictures:
        return []
    wave = clip.astype(np.float32) / 32767
    changes = []
    for setting, (name, _) in WAVES.items():
        augment = WaveAugmentation(_only(data, "audio", setting), data.recipe.data.sample_rate)
        after = augment([clip], [data.recipe.seed])[0]
        pictures = data.features(torch.from_numpy(np.stack([wave, after])))[:, 0].numpy()
        changes.append(Change(name, (pictures[0], pictures[1]), (wave, after)))
    return changes


def picture_changes(data: GenreData, clips: torch.Tensor) -> tuple[list[Change], list[str]]:
    """Every augmentation of the first of two clips' pictures, and a line for each without effect.

    Each at probability 1 and the recipe's other numbers.
    """
    before = data.features(clips)
    changes, remarks = [], []
    for setting, augmentation in PICTURES.items():
        settings = _only(data, "spectrogram", setting)
        torch.manual_seed(data.recipe.seed)
        for _ in range(DRAWS):  # a draw may be too small to be seen
            after, _ = PictureAugmentation(settings)(before, torch.eye(2))
            if not torch.equal(after, before):
                pictures = before[0, 0].numpy(), after[0, 0].numpy()
                changes.append(Change(setting.replace("_", " "), pictures))
                break
        else:
            values = (
                f"augment.{name} {getattr(settings, name):g}" for name in augmentation.numbers
            )
            remarks.append(f"{setting} changes nothing at {' and '.join(values)}: it is not drawn")
    return changes, remarks


def _only(data: GenreData, kind: str, setting: str) -> AugmentSettings:
    own = data.recipe.augment.model_dump()
    return AugmentSettings(**{**own, **OFF, kind: 1.0, setting: 1.0})


def _two_clips(data: GenreData, song: str | None) -> torch.Tensor:
    """(2, ..., step): the first clip of a song (none: of the first training song) and another's."""
    ids = data.corpus.ids
    song = song or data.split.songs("train")[0]
    if song not in ids:
        raise UserError(f"--song {song}: it is not in the corpus {data.corpus.name}")
    genre = data.corpus.songs[ids.index(song)]["genre"]
    other = next(s["id"] for s in data.corpus.songs if s["genre"] != genre)
    clips = Clips(data.corpus, data.clip_steps, data.genre_numbers, None)
    return clips.__getitems__([(ids.index(id_), 0, 0) for id_ in (song, other)])["clip"]
