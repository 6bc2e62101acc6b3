"""Songs to explain: of files, and of the corpus that a model was trained on."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from gtzan_lightning.data.audio import BrokenSong
from gtzan_lightning.data.module import GenreData
from gtzan_lightning.errors import UserError
from gtzan_lightning.inference.sound import Sound, file_to_sound, wave_to_sound
from gtzan_lightning.inference.tagger import Tagger
from gtzan_lightning.terminal import printable


def corpus_of(
    tagger: Tagger,
    root: str | None = None,
    opened: Callable[[dict[str, str]], None] | None = None,
) -> GenreData:
    """The songs that a model was trained and measured on, which ``setup`` prepares.

    Args:
        root: where they are now, if not where the run had them.
        opened: opens the test part, and is told what of: see ``GenreData.measured_by``.
    """
    own = tagger.recipe
    fit = own.fit.model_copy(update={"open_test": opened is not None})
    place = {} if root is None else {"root": root}
    songs = own.data.model_copy(update=place)
    data = GenreData(own.model_copy(update={"data": songs, "fit": fit}))
    if opened is not None:
        data.on_opening = lambda: opened(data.measured_by(data.recipe))
    return data


def sounds_of(
    tagger: Tagger, names: Sequence[str], genres: Sequence[str], data: GenreData
) -> list[tuple[str, Sound]]:
    """Sounds of files, of songs of a corpus by id, and of one song of each genre.

    Args:
        names: files and ids.
        genres: of each, the first song of the test part if it is open, else of the valid part.
        data: the corpus: see ``corpus_of``.

    Raises:
        UserError: neither a file nor an id, a genre without songs, a song of the closed test part,
            a broken file, or a corpus that keeps no waveforms.
    """
    sounds = []
    for path in (Path(name) for name in names if Path(name).is_file()):
        try:
            sounds.append((_short(printable(path.stem)), file_to_sound(path, tagger.sample_rate)))
        except BrokenSong as broken:
            raise UserError(f"{path}: {broken}") from None
    ids = [name for name in names if not Path(name).is_file()]
    if ids or genres:
        sounds += _corpus_sounds(tagger, ids, genres, data)
    return _numbered(sounds)


def _numbered(sounds: list[tuple[str, Sound]]) -> list[tuple[str, Sound]]:
    """With ``01-2`` for the second one called 01: what is written of them is named after them."""
    own: dict[str, Sound] = {}
    for name, sound in sounds:
        free, number = name, 2
        while free in own:
            free, number = f"{name}-{number}", number + 1
        own[free] = sound
    return list(own.items())


def _corpus_sounds(
    tagger: Tagger, ids: list[str], genres: Sequence[str], data: GenreData
) -> list[tuple[str, Sound]]:
    data.setup()
    corpus, name = data.corpus, data.corpus.name
    if corpus.is_pictures:
        raise UserError(f"the run's corpus {name} holds pictures, no sound: give --song a file")
    ids = [*ids, *(_song_of(genre, data) for genre in genres)]
    for id_ in ids:
        if id_ not in corpus.ids:
            raise UserError(f"--song {id_}: neither a file nor a song of {name}")
    if set(ids) & set(data.split.songs("test")):
        data.open_part("test")
    sounds = []
    for id_ in ids:
        wave = corpus.recording(corpus.ids.index(id_)).astype(np.float32) / 32767
        sound = wave_to_sound(wave, data.recipe.data.sample_rate, tagger.sample_rate)
        sounds.append((_short(id_.replace("/", "_")), sound))
    return sounds


def _short(name: str) -> str:
    """A name that leaves room for endings: file systems take 255 bytes."""
    return name.encode()[:200].decode(errors="ignore")


def _song_of(genre: str, data: GenreData) -> str:
    """The first song of a genre in the test part if that is open, else in the valid part."""
    part = "test" if data.recipe.fit.open_test else "valid"
    genre_of = {song["id"]: song["genre"] for song in data.corpus.songs}
    song = next((song for song in data.split.songs(part) if genre_of[song] == genre), None)
    if song is None:
        raise UserError(f"--genres {genre}: no {part} song of it is here")
    return song
