"""What every augmentation does to one clip, before and after, as one figure each."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from gtzan_lightning.data.augment import PictureAugmentation, WaveAugmentation
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

WAVES = {"time shift": {"shift": 1.0}, "Gaussian noise": {"noise": 1.0}}
PICTURES = ("mixup", "cutmix", "mask", "cutout", "width_shift", "warp", "equaliser")
OFF: dict[str, float] = dict.fromkeys(("audio", "shift", "noise", "spectrogram", *PICTURES), 0.0)


@dataclass(frozen=True)
class Example:
    """One augmentation of one clip: (bin, frame) pictures, and waveforms where there are any."""

    name: str
    pictures: tuple[np.ndarray, np.ndarray]
    waves: tuple[np.ndarray, np.ndarray] | None = None


def demonstrate(recipe: Recipe, song: str | None, out: Path) -> list[Path]:
    """Draw every augmentation of a recipe into a folder, and into an MLflow run of its own.

    Raises:
        UserError: no such song, or the folder can't be written.
    """
    check_output(recipe.track)
    data = GenreData(recipe)
    data.setup()
    shown = examples(data, song)
    tracker = Tracker(recipe.track)
    # no model is trained: without a corpus tag the run stays out of the comparison tables
    kept = {k: v for k, v in tags(recipe, data).items() if k != "corpus"}
    tracker.start(f"augmentation-{run_name(recipe, data)}", kept)
    files = []
    with tracker.recording():
        tracker.log_params(flat(recipe))
        try:
            for example in shown:
                drawn = before_and_after(
                    example.name, example.pictures, example.waves, recipe.data.clip_seconds
                )
                file = out / f"{example.name.replace(' ', '_')}.png"
                with replacing(file) as part:
                    drawn.savefig(part, format="png", dpi=110)
                tracker.log(drawn, file.name)
                files.append(file)
        except OSError as error:
            raise UserError(f"figures can't be written to {out}: {error.strerror}") from None
    return files


def examples(data: GenreData, song: str | None) -> list[Example]:
    """Every augmentation at probability 1 and the recipe's other numbers, on one song's clip.

    Args:
        song: its id; none: the first training song.

    Raises:
        UserError: no such song in the corpus.
    """
    ids = data.corpus.ids
    song = song or data.split.songs("train")[0]
    if song not in ids:
        raise UserError(f"--song {song}: it is not in the corpus {data.corpus.name}")
    genre = data.corpus.songs[ids.index(song)]["genre"]
    other = next(s["id"] for s in data.corpus.songs if s["genre"] != genre)
    clips = torch.stack([_clip(data, id_) for id_ in (song, other)])
    own = data.recipe.augment.model_dump()
    found = []
    if not data.corpus.is_pictures:
        clip = clips[0].numpy()
        wave = clip.astype(np.float32) / 32767
        for name, on in WAVES.items():
            settings = AugmentSettings(**{**own, **OFF, "audio": 1.0, **on})
            augment = WaveAugmentation(settings, data.recipe.data.sample_rate)
            after = augment([clip], [data.recipe.seed])[0]
            pictures = data.features(torch.from_numpy(np.stack([wave, after])))[:, 0].numpy()
            found.append(Example(name, (pictures[0], pictures[1]), (wave, after)))
    before = data.features(clips)
    for name in PICTURES:
        torch.manual_seed(data.recipe.seed)
        settings = AugmentSettings(**{**own, **OFF, "spectrogram": 1.0, name: 1.0})
        after = before
        while torch.equal(after, before):  # a draw may be too small to be seen
            after, _ = PictureAugmentation(settings)(before, torch.eye(2))
        title = name.replace("_", " ")
        found.append(Example(title, (before[0, 0].numpy(), after[0, 0].numpy())))
    return found


def _clip(data: GenreData, song: str) -> torch.Tensor:
    clips = Clips(data.corpus, data.clip_steps, data.genre_numbers, None)
    return clips.__getitems__([(data.corpus.ids.index(song), 0, 0)])["clip"][0]
