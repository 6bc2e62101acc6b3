import numpy as np
import pandas as pd
import pytest

from gtzan_lightning.errors import UserError
from gtzan_lightning.results.ensemble import ensemble, of_systems
from gtzan_lightning.results.predictions import scores


def predictions(*clips, part="valid"):
    """Clips as (song, genre, probability of jazz)."""
    return pd.DataFrame(
        [[part, s, "a", 0.0, g, np.log(p), np.log(1 - p)] for s, g, p in clips],
        columns=["part", "song", "artist", "start", "genre", "jazz", "rock"],
    )


def test_a_song_counts_once_for_each_system_whatever_its_clips():
    """Of two systems, one with three clips: 0.8 and 0.1 of jazz by geometric means."""
    one = predictions(("s", "rock", 0.8), ("t", "jazz", 0.9))
    other = predictions(*[("s", "rock", 0.1)] * 3, ("t", "jazz", 0.6))
    together = ensemble([one, other])
    assert list(together["song"]) == ["s", "t"]
    jazz, rock = np.sqrt(0.8 * 0.1), np.sqrt(0.2 * 0.9)
    assert np.exp(together["jazz"][0]) == pytest.approx(jazz / (jazz + rock))
    assert [scores(t, "valid")["song_accuracy"] for t in (one, other, together)] == [0.5, 1, 1]
    assert ensemble([one, one])["jazz"].tolist() == pytest.approx(one["jazz"].tolist())
    assert ensemble([one, other])["artist"].tolist() == ["a", "a"]


def test_only_what_fits_together_votes_together():
    one = predictions(("s", "rock", 0.8))
    with pytest.raises(UserError, match="other songs in the valid part"):
        ensemble([one, predictions(("t", "rock", 0.8))])
    with pytest.raises(UserError, match="other genres"):
        ensemble([one, one.rename(columns={"jazz": "pop"})])
    both = [{("0", "0"): one, ("1", "0"): one}, {("1", "0"): one}]
    assert len(of_systems(both)) == 1
    with pytest.raises(UserError, match="no seed and fold in common"):
        of_systems([{("0", "0"): one}, {("1", "0"): one}])
