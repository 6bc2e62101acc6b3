import numpy as np
import pytest
import torch

from gtzan_lightning.models.song_votes import SongVotes
from gtzan_lightning.results.predictions import VOTES, ClipPredictions, vote

SONGS, CLIPS, GENRES = 300, 4, list("abc")


@pytest.mark.parametrize("how", VOTES)
def test_votes_in_torch_are_those_of_a_table(how):
    """On random predictions; four clips and three genres tie often in the hard vote."""
    random = torch.Generator().manual_seed(0)
    song = torch.arange(SONGS).repeat_interleave(CLIPS)
    log_probs = torch.randn(len(song), 3, generator=random).log_softmax(1)
    votes = SongVotes(SONGS, 3)
    votes.update(log_probs, song, song % 3)
    clips = ClipPredictions(log_probs.numpy(), song.numpy(), np.arange(len(song)), song.numpy() % 3)
    of_table = vote(clips.table("test", [f"s{n:03}" for n in range(SONGS)], GENRES), how)
    decided = of_table[GENRES].to_numpy().argmax(1)
    assert votes.votes()[how].argmax(1).tolist() == decided.tolist()
    accuracy = float((decided == np.arange(SONGS) % 3).mean())
    name = "accuracy" if how == "log_mean" else f"accuracy_{how}"
    assert float(votes.compute()[name]) == pytest.approx(accuracy)


def test_a_song_of_many_clips_is_as_sure_as_one_of_few():
    """The vote is the mean of its clips, so it is a distribution of one clip's sharpness."""
    log_probs = torch.tensor([[0.7, 0.2, 0.1]]).log().repeat(6, 1)
    votes = SongVotes(2, 3)
    votes.update(log_probs, torch.tensor([0, 1, 1, 1, 1, 1]), torch.tensor([0, 0, 0, 0, 0, 0]))
    for of_songs in (votes.votes()["log_mean"].exp(), votes.votes()["mean"] / votes.clips[:, None]):
        torch.testing.assert_close(of_songs, torch.tensor([[0.7, 0.2, 0.1]] * 2))
    assert float(votes.compute()["loss"]) == pytest.approx(-np.log(0.7))
