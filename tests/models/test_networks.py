import socket

import huggingface_hub
import pytest
import timm
import torch
from torch import nn

from gtzan_lightning.errors import Untrainable, UserError
from gtzan_lightning.models import MODELS, build_network, network_class
from gtzan_lightning.models.layers import dense_layers, steps_of
from gtzan_lightning.models.recurrent import scrambled
from gtzan_lightning.recipe.model_settings import (
    MODEL_SETTINGS,
    EfficientNetSettings,
    ResNetSettings,
)

MEAN = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)
SPREAD = torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)


SHAPE = (1, 128, 130)


def network(name, shape=SHAPE, **settings):
    if name in ("mn", "musicnn", "fcn"):
        settings = {"pretrained": False, **settings}
    return network_class(name)(MODEL_SETTINGS[name](**settings), 10, shape)


def parameters(name, shape=SHAPE, **settings):
    """Number of them, without making them."""
    with torch.device("meta"):
        return sum(p.numel() for p in network(name, shape, **settings).parameters())


@pytest.mark.parametrize("name", [name for name in MODELS if name != "encoder"])
@pytest.mark.parametrize("shape", [(1, 128, 94), (3, 96, 130)])
def test_logits_from_pictures_through_trunk_and_head(name, shape):
    if name in ("musicnn", "fcn"):
        shape = (1, *shape[1:]) if name == "fcn" else (1, 96, 130)
    net = network(name, shape).eval()
    picture = torch.rand(2, *shape)
    with torch.no_grad():
        logits = net(picture)
        if hasattr(net, "trunk"):  # what Grad-CAM looks at
            torch.testing.assert_close(net.head(net.trunk(picture)), logits)
    assert logits.shape == (2, 10)


@pytest.mark.parametrize(
    ("name", "settings", "shape", "count"),
    [
        # with one input channel and ten classes: the published networks of 5,288,548 (Tan and Le),
        # 25.56 M and 11.69 M parameters less 990 classes and two colours
        ("efficientnet", {}, SHAPE, 5_288_548 - 990 * (1280 + 1) - 2 * 32 * 9),
        ("resnet", {"depth": 50}, SHAPE, 23_522_250),
        ("resnet", {"depth": 18}, SHAPE, 11_175_370),
        ("small_cnn", {}, SHAPE, 983_786),
        # Liu et al.: 180,458 of convolutions and dense layer, 5,184 of batch norm
        ("bbnn", {}, (1, 128, 647), 180_458 + 5_184),
        # trunks of Keras' VGG16 (14,714,688) and InceptionV3 (21,768,352 without the centres and
        # moving statistics of its batch norms, whose scales it leaves out and timm has: 17,216)
        ("transfer", {"dense": (10,)}, (3, 256, 256), 4_007_548 + 1280 * 10 + 10 + 110),
        (
            "transfer",
            {"dense": (10,), "trunk": "resnet50"},
            (3, 256, 256),
            23_508_032 + 2048 * 10 + 10 + 110,
        ),
        ("vgg", {"dense": (10,)}, (3, 256, 256), 14_714_688 + 512 * 10 + 10 + 110),
        ("inception", {"dense": (10,)}, (3, 256, 256), 21_768_352 + 17_216 + 2048 * 10 + 10 + 110),
    ],
)
def test_parameter_counts(name, settings, shape, count):
    """Those of recipes that rebuild a published system are in ``test_reproductions``."""
    assert parameters(name, shape, **settings) == count


@pytest.mark.parametrize("variant", [{}, {"variant": "basak"}])
def test_bbnn_has_the_published_maps(variant):
    """647 x 128 -> 161 x 128 after the stem's pooling of time -> 80 x 64 at the end."""
    net = network("bbnn", (1, 128, 647), **variant)
    picture = torch.rand(1, 1, 128, 647)
    with torch.no_grad():
        assert net.stem(picture).shape == (1, 32, 128, 161)
        assert net.trunk(picture).shape == (1, 32, 64, 80)
    convolutions = sum(p.numel() for m in net.modules() for p in m.parameters(recurse=False)
                       if not isinstance(m, torch.nn.BatchNorm2d))  # fmt: skip
    assert convolutions == 180_458


def test_cnn_has_the_printed_layers():
    """basak's table, layer for layer: shapes of its convolutions, pools and dense layers."""
    net = network("cnn", (3, 480, 640), stride=2)
    printed = [
        (32, 480, 640), (32, 478, 638), (32, 239, 319), (64, 120, 160), (64, 59, 79), (64, 29, 39),
        (64, 29, 39), (64, 26, 36), (64, 13, 18), (14976,), (1000,), (512,), (64,), (10,),
    ]  # fmt: skip
    seen = []
    kinds = (torch.nn.Conv2d, torch.nn.AvgPool2d, torch.nn.Flatten, torch.nn.Linear)
    for module in net.modules():
        if isinstance(module, kinds):
            module.register_forward_hook(lambda m, i, out: seen.append(tuple(out.shape[1:])))
    with torch.no_grad():
        net(torch.rand(1, 3, 480, 640))
    assert seen == printed


@pytest.mark.parametrize("name", ["cnn", "cnn_lstm", "baseline_cnn", "bbnn", "crnn", "simple_rnn"])
def test_systems_written_in_keras_are_drawn_as_it_draws(name):
    torch.manual_seed(0)
    drawn = network(name)
    layers = [m for m in drawn.modules() if isinstance(m, torch.nn.Conv2d | torch.nn.Linear)]
    for layer in layers:
        field = layer.weight[0, 0].numel()
        bound = (6 / ((layer.weight.shape[0] + layer.weight.shape[1]) * field)) ** 0.5
        assert 0.9 * bound < layer.weight.abs().max() <= bound
        assert not layer.bias.any()
    for layer in (m for m in drawn.modules() if isinstance(m, torch.nn.RNNBase)):
        recurrent = layer.weight_hh_l0
        torch.testing.assert_close(
            recurrent.T @ recurrent, torch.eye(layer.hidden_size), atol=1e-4, rtol=0
        )
        gates = (layer.bias_ih_l0 + layer.bias_hh_l0).view(-1, layer.hidden_size)
        open_gates = [0, 1, 0, 0] if isinstance(layer, torch.nn.LSTM) else [0] * len(gates)
        assert gates.mean(1).tolist() == open_gates


@pytest.mark.parametrize("name", ["simple_rnn", "bigru", "crnn", "cnn_lstm"])
def test_recurrent_networks_feel_the_first_frame(name):
    """Only the last frame decides nothing alone."""
    torch.manual_seed(0)
    net = network(name, (1, 96, 96)).double().eval()
    # quiet enough that a plain tanh network still remembers after 96 frames
    picture = 0.1 * torch.randn(1, 1, 96, 96, dtype=torch.double)
    other = picture.clone()
    other[..., 0] += 1
    with torch.no_grad():
        assert (net(picture) - net(other)).abs().max() > 1e-9


def test_recurrent_networks_walk_along_time_unless_told_otherwise():
    picture = torch.randn(1, 3, 64, 64)
    torch.testing.assert_close(steps_of(picture)[0, 5], picture[0, :, :, 5].flatten())
    # as coded a step is three neighbouring columns of one colour
    rows = scrambled(picture)
    assert rows.shape == (1, 64, 192)
    torch.testing.assert_close(rows[0, 0], picture[0, 0, :, :3].T.flatten())
    lstm = network("cnn_lstm", (1, 128, 94))
    lstm_published = network("cnn_lstm", (1, 128, 94), axis="frequency")
    assert (lstm.first.input_size, lstm_published.first.input_size) == (64 * 13, 64 * 9)


@pytest.mark.parametrize(
    ("layers", "trained"), [(0, 0), (1, 0), (2, 1), (4, 3), (5, 3), (None, 13)]
)
def test_vgg_trains_the_layers_that_keras_would(layers, trained):
    net = network("vgg", trainable_layers=layers)
    convolutions = [m for m in net.net.features if isinstance(m, torch.nn.Conv2d)]
    assert sum(m.weight.requires_grad for m in convolutions) == trained


@pytest.mark.parametrize(("layers", "blocks"), [(0, []), (31, ["7c"]), (62, ["7b", "7c"]),
                                                (82, ["7a", "7b", "7c"])])  # fmt: skip
def test_inception_trains_whole_blocks_and_freezes_their_statistics(layers, blocks):
    net = network("inception", trainable_layers=layers).train()
    trained = {n.split(".")[0] for n, p in net.net.named_parameters() if p.requires_grad}
    assert trained == {f"Mixed_{block}" for block in blocks}
    assert net.net.Mixed_7c.training == bool(blocks)
    assert not net.net.Conv2d_1a_3x3.bn.training
    assert net.dense.training


@pytest.mark.parametrize("trunk", ["efficientnet_b0", "efficientnet_lite0", "resnet50"])
def test_a_frozen_trunk_keeps_weights_and_statistics_while_the_head_learns(trunk):
    net = network("transfer", trunk=trunk, trainable_layers=0, dropout=(0,)).train()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    optimizer = torch.optim.SGD([p for p in net.parameters() if p.requires_grad], lr=1)
    torch.nn.functional.cross_entropy(net(torch.rand(4, *SHAPE)), torch.arange(4)).backward()
    optimizer.step()
    changed = {n for n, value in net.state_dict().items() if not torch.equal(value, before[n])}
    assert {name.split(".")[0] for name in changed} == {"dense", "out"}


def test_colours_reach_a_pretrained_network_as_it_expects_them():
    colours = torch.rand(1, 3, 4, 4)
    for name, fed in (
        ("efficientnet", (colours / 255 - MEAN) / SPREAD),
        ("transfer", (colours / 255 - MEAN) / SPREAD),
        ("vgg", colours / 255 / SPREAD),
        ("inception", colours),
    ):
        expected = (colours - 0.5) / 0.5 if name == "inception" else (colours - MEAN) / SPREAD
        for preprocessing, truth in (
            ("expected", expected), ("published", fed), ("none", colours)
        ):  # fmt: skip
            net = network(name, (3, 128, 130), preprocessing=preprocessing)
            torch.testing.assert_close((colours - net.mean) / net.spread, truth)


def test_a_picture_that_is_too_small_is_one_line():
    for name in ("cnn", "vgg", "inception"):
        with pytest.raises(UserError, match=r"can't hold pictures of 12 bins x 130") as caught:
            build_network(MODEL_SETTINGS[name](), 10, (1, 12, 130))
        assert "\n" not in str(caught.value)
    cls = network_class("vgg")
    with pytest.raises(UserError, match="2 values for 3 layers"):
        cls(MODEL_SETTINGS["vgg"](dense=(9, 8, 7), dropout=(0.1, 0.2)), 10, SHAPE)


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
    cls = network_class("efficientnet")
    with pytest.raises(UserError, match=r"can't be downloaded.*model\.weights") as caught:
        cls(EfficientNetSettings(pretrained=True), 10, SHAPE)
    assert "\n" not in str(caught.value)
    resnet = network_class("resnet")
    with pytest.raises(UserError, match="no such file"):
        resnet(ResNetSettings(weights=str(tmp_path / "none.pth")), 10, SHAPE)
    torch.save({"conv1.weight": torch.zeros(1)}, tmp_path / "bad.pth")
    with pytest.raises(UserError, match="are no resnet18 weights"):
        resnet(ResNetSettings(depth=18, weights=str(tmp_path / "bad.pth")), 10, SHAPE)


def test_dropout_and_stochastic_depth_reach_the_network():
    net = network("efficientnet", dropout=0.4, drop_path=0.2).net
    assert net.drop_rate == 0.4
    assert max(getattr(m, "drop_prob", 0) or 0 for m in net.modules()) > 0.1


def operations(net, shape):
    """Names of the modules without parts, in the order in which a picture meets them."""
    names: list[str] = []
    for module in net.modules():
        if not list(module.children()):
            name = type(module).__name__.replace("SameConv2d", "Conv2d")
            module.register_forward_hook(lambda *_, name=name: names.append(name))
    with torch.no_grad():
        net.eval()(torch.rand(2, *shape))
    return names


_BASAK_BLOCK = ["Conv2d", "ReLU", "Conv2d", "ReLU", "AvgPool2d", "Dropout"]
_DENSE = ["Linear", "ReLU", "Dropout"]


@pytest.mark.parametrize(
    ("name", "settings", "shape", "written"),
    [
        # the printed table: dropout after each pooling; between dense layers it has rate 0 here
        ("cnn", {}, (3, 96, 128), [*_BASAK_BLOCK * 3, "Flatten", *_DENSE * 3, "Linear"]),
        (
            "cnn_lstm", {"axis": "frequency"}, (3, 96, 128),
            [*_BASAK_BLOCK * 3, "LSTM", "LSTM", *_DENSE * 2, "Linear"],
        ),
        # zhang's code: no activation between the dense layers
        (
            "bigru", {"as_coded": True}, (3, 224, 224),
            ["Conv1d", "GRU", "Linear", "Dropout", "Linear"],
        ),
    ],
)  # fmt: skip
def test_operations_come_in_the_order_of_the_source(name, settings, shape, written):
    assert operations(network(name, shape, **settings), shape) == written


def test_the_cnn_has_dropout_where_the_printed_table_has_it():
    rates = [m.p for m in network("cnn", (3, 96, 128)).modules() if isinstance(m, nn.Dropout)]
    assert rates == [0.3, 0.3, 0.3, 0, 0, 0]


@pytest.mark.parametrize(
    ("variant", "stem"),
    [("basak", ["Conv2d", "ReLU", "BatchNorm2d", "MaxPool2d"]),
     ("paper", ["Conv2d", "BatchNorm2d", "ReLU", "MaxPool2d"])],
)  # fmt: skip
def test_the_stem_of_bbnn_and_its_pooled_axis(variant, stem):
    net = network("bbnn", (1, 64, 128), variant=variant, pooled="frequency")
    assert operations(net, (1, 64, 128))[:4] == stem
    assert net.stem(torch.rand(1, 1, 64, 128)).shape[2:] == (16, 128)
    assert network("bbnn", (1, 64, 128)).stem(torch.rand(1, 1, 64, 128)).shape[2:] == (64, 32)


def test_res_bigru_averages_the_map_and_has_no_activation_of_its_own():
    net = network("res_bigru", (3, 224, 224), as_coded=True).eval()
    own = operations(net, (3, 224, 224))[-7:]
    assert own == ["GRU", "Linear", "Linear", "Dropout", "BatchNorm1d", "Dropout", "Linear"]
    seen: list[torch.Tensor] = []
    net.squeeze.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    picture = torch.rand(1, 3, 224, 224)
    with torch.no_grad():
        net(picture)
        torch.testing.assert_close(seen[0], net.resnet.trunk(picture).mean((2, 3)))


def test_a_dense_layer_that_no_machine_holds_is_refused_before_it_is_made():
    """Six convolutions of stride 1 leave 8 million numbers, on which 500 are to be trained."""
    with pytest.raises(Untrainable, match=r"8,388,608 x 500 weights is too large"):
        dense_layers(256 * 256 * 128, (500,), (0.1,))
    dense_layers(131_072, (10,), (0.1,))
