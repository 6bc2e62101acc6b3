"""The model that comes with the package, and checkpoints to give away."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch

from experiments import export, models, tag
from gtzan_lightning import Tagger
from gtzan_lightning.data.catalogue import GENRES
from gtzan_lightning.data.synthetic import render
from gtzan_lightning.errors import UserError
from gtzan_lightning.inference.share import FILE
from gtzan_lightning.models.checkpoint import KEY

# genre -> the beginning of the names of its songs; none of them is in GTZAN
ELSEWHERE = dict.fromkeys(GENRES, ("none",)) | {
    "hiphop": ("000002", "000003"), "classical": ("Hungarian",), "jazz": ("Kevin_MacLeod",),
}  # fmt: skip
ROOT = Path(__file__).parent.parent.parent


def test_the_ready_model_is_small_and_says_nothing_of_its_machine():
    assert FILE.stat().st_size < 5_000_000
    content = torch.load(FILE, weights_only=True)
    assert {tensor.dtype for tensor in content["state_dict"].values()} <= {torch.half, torch.int64}
    words = re.findall(r"[\w./-]+", str(content[KEY]))
    assert not [word for word in words if word.startswith(("/", "../", "~"))]
    assert Tagger.load("ready").genres == list(GENRES)


def test_the_ready_model_tags_songs_from_elsewhere(real_data, tmp_path):
    out = tmp_path / "genres.csv"
    tag.main([str(real_data / "other-songs"), "--out", str(out)])
    rows = out.read_text().splitlines()
    heard = {Path(row.split(",")[0]).name: row.split(",")[1] for row in rows[1:]}
    assert set(heard.values()) <= set(GENRES)
    right = [name for name, said in heard.items() if name.startswith(ELSEWHERE[said])]
    assert len(right) >= 3, heard


def test_the_ready_model_has_a_name_a_digest_and_a_card(capsys):
    models.main(["--ready"])
    said = capsys.readouterr().out
    digest = Tagger.load("ready").digest
    assert f"digest {digest}" in said
    assert f"`{digest}`" in (ROOT / "docs" / "model-card.md").read_text()


def test_a_checkpoint_to_give_away_is_half_as_large_and_predicts_the_same(
    checkpoint, tmp_path, capsys
):
    out = tmp_path / "small.ckpt"
    export.main(["--run", checkpoint, "--out", str(out), "--temperature", "2"])
    whole, small = Tagger.load(checkpoint), Tagger.load(out)
    assert f"digest {small.digest}" in capsys.readouterr().out
    assert out.stat().st_size < 0.6 * Path(checkpoint).stat().st_size
    assert small.temperature == 2
    assert small.recipe.track.folder == "mlruns"
    wave = render("jazz", 0, 0, 3.0, 8000)
    whole.temperature = 2
    given, kept = (t.predict(wave, 8000).probabilities for t in (small, whole))
    np.testing.assert_allclose(given, kept, atol=2e-3)
    with pytest.raises(UserError, match="is not between"):
        export.main(["--run", checkpoint, "--out", str(tmp_path / "a.ckpt"), "--temperature", "0"])
    with pytest.raises(UserError, match=r"\.onnx or \.ckpt"):
        export.main(["--run", checkpoint, "--out", str(tmp_path / "a.pt")])
