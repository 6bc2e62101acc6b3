from dataclasses import replace

import numpy as np
import pytest
import torch

from gtzan_lightning.data.module import GenreData
from gtzan_lightning.errors import UserError
from gtzan_lightning.inference.tagger import Tagger
from gtzan_lightning.models.checkpoint import Checkpoint, keep_temperature, read_checkpoint
from gtzan_lightning.training.train import make_model


@pytest.fixture
def model(quick):
    recipe = quick("--model.variant", "basak", "--model.filters", "4", model="bbnn")
    data = GenreData(recipe)
    data.setup()
    return make_model(recipe, data)


def test_a_checkpoint_of_before_the_sources_had_names_still_loads(model, tmp_path):
    checkpoint = {"state_dict": model.state_dict()}
    model.on_save_checkpoint(checkpoint)
    plain = checkpoint["gtzan_lightning"]
    assert list(checkpoint) == ["state_dict", "gtzan_lightning"]
    assert set(plain) == {
        "format", "version", "recipe", "genres", "corpus_kind", "picture", "shape", "corpus",
        "songs_fingerprint", "protocol", "split_fingerprint", "temperature",
    }  # fmt: skip
    plain["recipe"]["model"]["variant"] = "seed_001"
    del plain["temperature"]
    torch.save(checkpoint, tmp_path / "old.ckpt")
    old = read_checkpoint(tmp_path / "old.ckpt")
    assert old.contents == model.contents
    assert old.contents.recipe.model.variant == "basak"
    weights = Tagger(old).network.state_dict()
    torch.testing.assert_close(weights, model.network.state_dict(), rtol=0, atol=0)


def test_a_temperature_is_kept_beside_everything_else(model, tmp_path):
    checkpoint = {"state_dict": model.state_dict(), "epoch": 3}
    model.on_save_checkpoint(checkpoint)
    torch.save(checkpoint, tmp_path / "best.ckpt")
    keep_temperature(tmp_path / "best.ckpt", 1.75)
    kept = read_checkpoint(tmp_path / "best.ckpt")
    assert kept.contents == replace(model.contents, temperature=1.75)
    assert kept.raw().contents == model.contents
    torch.testing.assert_close(kept.state_dict, dict(model.state_dict()), rtol=0, atol=0)
    again = torch.load(tmp_path / "best.ckpt", weights_only=True)
    assert (list(again), again["epoch"]) == (list(checkpoint), 3)
    assert [file.name for file in tmp_path.iterdir()] == ["best.ckpt"]


def test_a_flipped_bit_is_one_line_and_never_another_network(model, tmp_path):
    file = tmp_path / "best.ckpt"
    checkpoint = {"state_dict": model.state_dict()}
    model.on_save_checkpoint(checkpoint)
    torch.save(checkpoint, file)
    content, truth = file.read_bytes(), read_checkpoint(file)
    bits = np.random.default_rng(0).integers(0, 8 * len(content), 40)
    of_weights = content.index(truth.state_dict["network.out.weight"].numpy().tobytes())
    named = 0
    for bit in [8 * of_weights + 3, *bits]:
        flipped = bytearray(content)
        flipped[bit // 8] ^= 1 << bit % 8
        file.write_bytes(flipped)
        try:
            got = read_checkpoint(file)
        except UserError as error:
            named += str(file) in str(error) and "\n" not in str(error)
        else:  # of what nobody reads, such as the zeros before a tensor
            assert (got.digest, got.contents) == (truth.digest, truth.contents)
            named += bit != 8 * of_weights + 3
    assert named == 1 + len(bits)


def test_a_network_that_is_none_of_the_package_must_be_given(model):
    settings = model.recipe.model.model_copy(update={"name": "own"})
    contents = replace(model.contents, recipe=model.recipe.model_copy(update={"model": settings}))
    with pytest.raises(UserError, match=r"\(own\) is none of this package's: give it"):
        Tagger(Checkpoint(contents, model.state_dict()))
