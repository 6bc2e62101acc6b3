import pytest
import torch

from gtzan_lightning.models.part_scores import PartScores


def test_clips_that_were_mixed_are_in_the_loss_and_in_no_score():
    """Two pure clips are right; two mixed ones are wrong by the genre of their first song."""
    genre = torch.tensor([0, 1, 2, 0])
    target = torch.nn.functional.one_hot(genre, 3).float()
    target[2:] = torch.tensor([[0.6, 0.0, 0.4], [0.4, 0.6, 0.0]])
    logits = torch.tensor([[9.0, 0, 0], [0, 9.0, 0], [9.0, 0, 0], [0, 9.0, 0]])
    batch = {
        "target": target, "genre": genre, "song": torch.arange(4), "start": torch.zeros(4).long(),
    }  # fmt: skip
    scores = PartScores(songs=4, genres=3)
    scores.add(logits, torch.tensor([1.0, 2.0, 3.0, 4.0]), batch)
    assert scores.update() == pytest.approx(2.5)
    found = scores.compute()
    assert found["clip_accuracy"] == found["song_accuracy"] == 1
    assert found["clip_f1"] == found["song_f1"] == 1
