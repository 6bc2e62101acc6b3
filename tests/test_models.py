import socket

import huggingface_hub
import pytest
import timm
import torch

from gtzan_lightning.errors import UserError
from gtzan_lightning.models import MODELS, model_class
from gtzan_lightning.settings import MODEL_SETTINGS, EfficientNetSettings, ResNetSettings


def network(name, **settings):
    return model_class(name).network_class(MODEL_SETTINGS[name](**settings), 10, 128)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("shape", [(128, 130), (64, 94)])
def test_logits_from_any_picture_through_trunk_and_head(name, shape):
    net = network(name).eval()
    picture = torch.randn(2, *shape)
    with torch.no_grad():
        logits = net(picture)
        torch.testing.assert_close(net.head(net.trunk(picture)), logits)
    assert logits.shape == (2, 10)


@pytest.mark.parametrize(
    ("name", "settings", "count"),
    [
        # timm's own counts with one input channel and ten classes: the published networks of
        # 5.29 M, 25.56 M and 11.69 M parameters less 990 classes and two colours
        ("efficientnet", {}, 4_019_782),
        ("resnet", {"depth": 50}, 23_522_250),
        ("resnet", {"depth": 18}, 11_175_370),
        ("small_cnn", {}, 983_786),
    ],
)
def test_parameter_counts(name, settings, count):
    assert sum(p.numel() for p in network(name, **settings).parameters()) == count


def test_published_counts_follow_from_ours():
    """EfficientNet-B0 has 5,288,548 parameters at three channels and 1,000 classes (Tan and Le)."""
    ours = sum(p.numel() for p in network("efficientnet").parameters())
    assert ours + 990 * (1280 + 1) + 2 * 32 * 9 == 5_288_548


def test_imagenet_weights_from_a_local_file(tmp_path):
    source = timm.create_model("resnet18", pretrained=False)
    file = tmp_path / "resnet18.pth"
    torch.save(source.state_dict(), file)
    loaded = network("resnet", depth=18, weights=str(file)).net
    summed = source.conv1.weight.sum(1, keepdim=True)
    torch.testing.assert_close(loaded.conv1.weight, summed)
    torch.testing.assert_close(loaded.layer4[1].conv2.weight, source.layer4[1].conv2.weight)
    assert loaded.fc.out_features == 10


def test_weights_that_can_not_be_had_are_one_line(tmp_path, monkeypatch):
    def refuse(*args, **kwargs):
        raise OSError("no network")

    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    cls = model_class("efficientnet").network_class
    with pytest.raises(UserError, match=r"can't be downloaded.*--model\.weights") as caught:
        cls(EfficientNetSettings(pretrained=True), 10, 128)
    assert "\n" not in str(caught.value)
    resnet = model_class("resnet").network_class
    with pytest.raises(UserError, match="no such file"):
        resnet(ResNetSettings(weights=str(tmp_path / "none.pth")), 10, 128)
    torch.save({"conv1.weight": torch.zeros(1)}, tmp_path / "bad.pth")
    with pytest.raises(UserError, match="are no resnet18 weights"):
        resnet(ResNetSettings(depth=18, weights=str(tmp_path / "bad.pth")), 10, 128)


def test_dropout_and_stochastic_depth_reach_the_network():
    net = network("efficientnet", dropout=0.4, drop_path=0.2).net
    assert net.drop_rate == 0.4
    assert max(getattr(m, "drop_prob", 0) or 0 for m in net.modules()) > 0.1
