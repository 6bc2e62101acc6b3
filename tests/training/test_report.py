from unittest.mock import MagicMock

import pandas as pd

from gtzan_lightning.data.module import GenreData
from gtzan_lightning.training.report import describe


def test_the_list_of_songs_names_the_part_that_each_song_is_really_in(quick, tmp_path):
    data = GenreData(quick())
    data.setup()
    describe(MagicMock(), data.recipe, data, tmp_path)
    listed = pd.read_csv(tmp_path / "songs.csv")
    taken = {part: {row for row, *_ in data.grid(part)} for part in ("valid", "test")}
    batches = data.train_dataloader().batch_sampler
    taken["train"] = {row for batch in batches for row, *_ in batch}
    for part, rows in taken.items():
        songs = {data.corpus.ids[row] for row in rows}
        assert set(listed.loc[listed["part"] == part, "song"]) == songs
        assert songs
