"""Networks that have listened before: their pictures, weights and ways to learn on."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
import soundfile
import soxr
import timm
import torch
from conftest import quick_flags

from gtzan_lightning.data.features import PictureSpec
from gtzan_lightning.data.pictures import Features
from gtzan_lightning.errors import UserError
from gtzan_lightning.inference.tagger import Tagger
from gtzan_lightning.models import build_network, check_rate, weights
from gtzan_lightning.models.fine_tuning import freeze, parameter_groups
from gtzan_lightning.models.kept import Kept
from gtzan_lightning.models.mn import Mn
from gtzan_lightning.recipe.command_line import parse_run
from gtzan_lightning.recipe.fit_settings import FitSettings
from gtzan_lightning.recipe.model_settings import MODEL_SETTINGS
from gtzan_lightning.recipe.recipes import Recipe
from gtzan_lightning.tracking.reading import runs_table
from gtzan_lightning.training.report import heard_before
from gtzan_lightning.training.train import train

MUSIC, SILENCE = 137, 500  # classes of AudioSet
SHAPES = {"mn": (1, 128, 100), "fcn": (1, 96, 1300), "musicnn": (1, 96, 190), "crnn": (1, 96, 200)}
# the tags of MSD that Won et al. use, by their places
TAGS = {"jazz": 9, "metal": 11, "blues": 26}


def network(name, **settings):
    own = {"variant": "won"} if name == "crnn" else {}
    made = MODEL_SETTINGS[name](**{"pretrained": False, **own, **settings})
    return build_network(made, 10, SHAPES[name])


@pytest.fixture
def weights_file(tmp_path):
    """Weights of an mn as its authors name them, at random."""
    torch.manual_seed(0)
    theirs = {}
    for name, tensor in network("mn").state_dict().items():
        name = name.replace("classifier.0.", "classifier.2.").replace(
            "classifier.3.", "classifier.5."
        )
        if ".fc1." in name or ".fc2." in name:
            name = name.replace(".fc", ".conc_se_layers.0.fc")
            tensor = tensor.flatten(1) if name.endswith("weight") else tensor
        theirs[name] = torch.zeros(527, 512) if name == "classifier.5.weight" else tensor
    file = tmp_path / "mn.pt"
    torch.save(theirs, file)
    return file


def heard(wave, rate, recipe):
    """A wave at ``rate`` as the pictures that the network of a recipe expects."""
    wave = soxr.resample(wave, rate, recipe.data.sample_rate, quality="HQ")
    return Features(PictureSpec.of(recipe.data))(torch.from_numpy(wave)[None])


def test_audiosets_classes_stay_reachable(real_data):
    file = str(real_data / "weights" / "mn04_as_mAP_432.pt")
    recipe = Recipe.load("mn", {"model.weights": file})
    net = Mn(recipe.model, 10, SHAPES["mn"], tags=True).eval()
    # all of its file: weights and the statistics of batch norms, without the counts of batches
    counted = [t for name, t in net.state_dict().items() if not name.endswith("batches_tracked")]
    kept = weights.read_weights(real_data / "weights" / "mn04_as_mAP_432.pt")
    assert sum(t.numel() for t in kept.values()) == 993_485
    assert sum(t.numel() for t in counted) + 46 == 993_485
    for genre in ("blues", "classical", "jazz", "metal"):
        song = real_data / "gtzan" / genre / f"{genre}.00000.flac"
        wave, rate = soundfile.read(song, stop=220_500, dtype="float32")
        with torch.inference_mode():
            tags = net(heard(wave, rate, recipe)).sigmoid()[0]
        assert tags[MUSIC] > 0.5
        assert tags[SILENCE] < 0.01
    with torch.inference_mode():
        tags = net(heard(np.zeros(220_500, np.float32), 22050, recipe))[0]
    assert tags.argmax() == SILENCE


@pytest.mark.parametrize("name", ["fcn", "crnn"])
def test_taggers_of_msd_hear_the_genre(real_data, name):
    file = real_data / "weights" / f"{name}_msd.pth"
    own = {"model.variant": "won"} if name == "crnn" else {}
    recipe = Recipe.load(name, {"model.weights": str(file), **own})
    net = build_network(recipe.model, 50, (1, 96, 1820)).eval()
    last = weights.read_weights(file)
    net.dense.load_state_dict({n: last[f"dense.{n}"] for n in ("weight", "bias")})
    probability = {}
    for genre in TAGS:
        wave, rate = soundfile.read(
            real_data / "gtzan" / genre / f"{genre}.00000.flac", dtype="float32"
        )
        with torch.inference_mode():
            probability[genre] = net(heard(wave, rate, recipe)).sigmoid()[0]
    for genre, tag in TAGS.items():
        others = [probability[other][tag] for other in TAGS if other != genre]
        assert probability[genre][tag] > 2 * max(others)


@pytest.mark.parametrize(
    "model", [{"name": "timm"}, {"name": "efficientnet", "variant": "lite0"}], ids=str
)
def test_a_network_of_timm_starts_from_a_local_file(real_data, model):
    """Its trunk hears what the file's weights hear; only the last layer is new."""
    file = real_data / "weights" / "tf_efficientnet_lite0_imagenet.pt"
    settings = MODEL_SETTINGS[model["name"]](**model, weights=str(file))
    net = build_network(settings, 10, (3, 96, 96)).eval()
    whole = timm.create_model("tf_efficientnet_lite0", num_classes=1000).eval()
    whole.load_state_dict(torch.load(file, weights_only=True))
    colours = torch.rand(1, 3, 96, 96)
    with torch.inference_mode():
        maps = whole.forward_features((colours - 0.5) / 0.5)
        torch.testing.assert_close(net.trunk(colours), maps, atol=1e-3, rtol=1e-3)
    assert len(net.stages()) == 8
    assert not {p for s in net.stages() for m in s for p in m.parameters()} & {
        *net.net.get_classifier().parameters()
    }
    with pytest.raises(UserError, match="did you mean 'tf_efficientnet_lite"):
        build_network(MODEL_SETTINGS["timm"](network="tf_efficientnet_lite"), 10, (1, 96, 96))


@pytest.mark.parametrize("name", SHAPES)
def test_embeddings_are_numbers_of_a_clip(name):
    net, picture = network(name).eval(), torch.randn(2, *SHAPES[name])
    size = {"mn": 896, "fcn": 512, "musicnn": 2 * 753, "crnn": 480}[name]
    with torch.inference_mode():
        vectors = net.embed(picture)
    assert vectors.shape == (2, size)
    assert not torch.equal(vectors[0], vectors[1])


def test_weights_of_another_network_are_refused(tmp_path, weights_file):
    assert network("mn", weights=str(weights_file), pretrained=True)
    with pytest.raises(UserError, match=r"no weights of mn of width 1: .* such as classifier"):
        network("mn", weights=str(weights_file), width=1)
    (tmp_path / "words.pt").write_text("no weights")
    for file, said in (("words.pt", "can't be read"), ("none.pt", "no such file")):
        with pytest.raises(UserError, match=said):
            network("mn", weights=str(tmp_path / file))


def test_weights_that_are_slow_to_compute_with_become_zero(tmp_path):
    smallest = torch.finfo(torch.float32).tiny
    torch.save({"a": torch.tensor([1e-40, -1e-40, smallest, 0.5])}, tmp_path / "w.pth")
    read = weights.read_weights(tmp_path / "w.pth")["a"]
    assert read.tolist() == [0, 0, smallest, 0.5]


class Server(BaseHTTPRequestHandler):
    """Gives ``content`` and breaks off once, after its first half."""

    content = bytes(range(256)) * 1000
    broken, asked = False, []

    def do_GET(self):
        wanted = self.headers.get("Range", "")
        type(self).asked.append(wanted)
        start = int(wanted.removeprefix("bytes=").removesuffix("-") or 0) if wanted else 0
        self.send_response(206 if wanted else 200)
        self.send_header("Content-Length", str(len(self.content) - start))
        self.end_headers()
        end = len(self.content) if self.broken else len(self.content) // 2
        type(self).broken = True
        self.wfile.write(self.content[start:end])

    def log_message(self, *words):
        pass


def test_an_interrupted_download_is_resumed(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}/weights.pt"
    try:
        with pytest.raises(UserError, match=r"128,000 of 256,000 bytes .*model\.weights FILE"):
            weights.fetch(url, "weights.pt")
        assert weights.fetch(url, "weights.pt").read_bytes() == Server.content
        assert Server.asked == ["", "bytes=128000-"]
    finally:
        server.shutdown()
        server.server_close()
    assert weights.fetch(url, "weights.pt").exists()  # kept: no server is needed any more
    with pytest.raises(UserError, match=r"go online once, or give a local file"):
        weights.fetch(url, "others.pt")


@pytest.mark.parametrize(("trunk", "trained"), [("frozen", 0), ("last 2", 2)])
def test_what_is_frozen_changes_neither_weights_nor_statistics(trunk, trained):
    net = network("mn")
    freeze(net, FitSettings(trunk=trunk))
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    groups = parameter_groups(net, FitSettings())
    optimizer = torch.optim.SGD([{"params": g["params"]} for g in groups], 0.1)
    net.train()
    net(torch.randn(4, *SHAPES["mn"])).square().sum().backward()
    optimizer.step()
    changed = {n for n, t in net.state_dict().items() if not torch.equal(t, before[n])}
    stages = {int(name.split(".")[1]) for name in changed if name.startswith("features")}
    assert stages == set(range(17 - trained, 17))
    assert any(name.startswith("classifier") for name in changed)


def test_the_trunk_learns_more_slowly_the_deeper_it_is():
    net = network("fcn")
    fit = FitSettings(learning_rate=0.01, trunk_rate=0.5, layer_decay=0.1, weight_decay=0.1)
    rates = {}
    for group in parameter_groups(net, fit):
        assert group["weight_decay"] == (0.1 if group["params"][0].ndim > 1 else 0)
        rates |= dict.fromkeys(group["params"], group["lr"])
    for name, rate in (("dense", 0.01), ("layer5.conv", 0.005), ("layer1.bn", 0.005e-4)):
        assert rates[net.get_parameter(f"{name}.weight")] == pytest.approx(rate)
    assert len(rates) == len(list(net.parameters()))
    with pytest.raises(UserError, match="can start from weights"):
        parameter_groups(build_network(MODEL_SETTINGS["small_cnn"](), 10, (1, 128, 130)), fit)
    with pytest.raises(UserError, match="has 5 stages"):
        freeze(net, FitSettings(trunk="last 6"))


def test_a_recipe_holds_the_picture_that_its_weights_expect():
    recipe = Recipe.load("mn", {"data.clip_seconds": 5})
    assert (recipe.data.features, recipe.data.sample_rate) == ("kaldi", 32000)
    assert Recipe.load("mn", {"model.pretrained": False}).data.features == "mel"
    embedding = {"data.features": "embedding", "data.embedding": "fcn"}
    assert Recipe.load("svm", embedding).data.sample_rate == 16000
    of_tags = Recipe.load("svm", {**embedding, "data.embedding_learnt_from": "mtat"})
    assert heard_before(of_tags) == "MagnaTagATune"
    for name, saw in (
        ("tf_efficientnet_lite0", "ImageNet"),
        ("resnet50.a1_in1k", "ImageNet"),
        ("convnext_base.clip_laion2b", "clip_laion2b"),
    ):
        image = {"model.network": name, "model.pretrained": True}
        assert Recipe.load("timm", image).model.saw == saw
    assert Recipe.load("timm").model.saw == ""
    for model, settings, said in (
        ("mn", {"data.sample_rate": 22050}, r"data.sample_rate 22050: .* expect 32000"),
        ("svm", {**embedding, "data.bins": 128}, r"data.bins 128: .* expect 96"),
        ("small_cnn", embedding, "embedding is for knn"),
        ("svm", {"data.embedding_learnt_from": "mtat"}, "is of data.embedding fcn, crnn"),
        ("svm", {"data.features": "embedding"}, "goes with data.embedding"),
        ("crnn", {"model.pretrained": True}, "take model.variant won"),
        ("mn", {"model.width": 3}, "should be 0.4, 0.5, 1, 2 or 4"),
        ("mn", {"fit.trunk": "last"}, "should be all, frozen, or the last stages"),
    ):
        with pytest.raises(UserError, match=said):
            Recipe.load(model, settings)


@pytest.fixture
def of_weights(packed, tmp_path):
    """Makes quick recipes that leave pictures to the weights."""

    def make(*flags, model):
        own = quick_flags(packed, tmp_path, model)
        pairs = dict(zip(own[:-4:2], own[1:-4:2], strict=True))
        for name in ("sample_rate", "n_fft", "hop_length", "bins"):
            del pairs[f"--data.{name}"]
        return parse_run([*(word for pair in pairs.items() for word in pair), *own[-4:], *flags])[0]

    return make


def test_a_network_that_starts_from_weights_learns_as_suits_them(tmp_path):
    scratch, fine = (Recipe.load("resnet", {"model.pretrained": p}) for p in ("false", "true"))
    assert (scratch.fit.learning_rate, scratch.fit.trunk_rate) == (0.002, 1)
    assert (fine.fit.learning_rate, fine.fit.trunk_rate) == (0.001, 0.3)
    (tmp_path / "own.yaml").write_text("fit: {learning_rate: 0.01}")
    own = Recipe.load("resnet", {"model.pretrained": True}, [tmp_path / "own.yaml"])
    assert (own.fit.learning_rate, own.fit.trunk_rate) == (0.01, 0.3)


def test_a_frozen_trunk_listens_once(of_weights, weights_file, monkeypatch):
    """Another run, of another seed, finds the maps of the first."""
    flags = ["--model.weights", str(weights_file), "--fit.trunk", "frozen"]
    flags += ["--data.windows", "pieces", "--augment.spectrogram", "0", "--augment.audio", "0"]
    listened = []
    trunk = Mn.trunk
    monkeypatch.setattr(Mn, "trunk", lambda self, x: (listened.append(len(x)), trunk(self, x))[1])
    first = train(of_weights(*flags, model="mn"))
    once = sum(listened)
    listened.clear()
    train(of_weights(*flags, "--seed", "1", model="mn"))
    # what is left: one picture to try the network with and to size its map, and the final scores
    grid = sum(1 for _ in (first.folder / "predictions.csv").open()) - 1
    assert sum(listened) == grid + 2 + 1
    assert once == 2 * grid + 2 + 1


def test_the_linear_probe_listens_once(of_weights, weights_file, monkeypatch):
    flags = ["--data.features", "embedding", "--data.embedding", "mn"]
    flags += ["--data.embedding_weights", str(weights_file)]
    recipe = of_weights(*flags, model="logistic_regression")
    first = train(recipe)
    assert runs_table(recipe.track).iloc[0]["features"] == (
        "embedding mn of kaldi 128, 1 s; heard AudioSet"
    )
    monkeypatch.setattr(Mn, "embed", lambda *_: pytest.fail("listened again"))
    assert train(recipe).scores == pytest.approx(first.scores, nan_ok=True)


def test_kept_numbers_are_of_their_clips(tmp_path):
    def batch(*clips):
        song, start = torch.tensor(clips).T
        return {"song": song, "start": start, "clip": 10.0 * song + start}

    for number in range(2):
        kept = Kept(str(tmp_path), "key", lambda clips: clips[:, None])
        if number == 0:
            kept.learn(batch((1, 0), (2, 5)))
            kept.learn(batch((2, 5), (3, 1)))
            kept.keep()
        assert kept.of(batch((3, 1), (1, 0), (2, 5)))[:, 0].tolist() == [31, 10, 25]
    with pytest.raises(KeyError):
        Kept(str(tmp_path), "other", torch.neg).of(batch((1, 0)))


@pytest.fixture
def ast(tmp_path):
    """Folder of a tiny Audio Spectrogram Transformer at random."""
    from transformers import ASTConfig, ASTFeatureExtractor, ASTModel

    config = ASTConfig(
        hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32,
        max_length=98, num_mel_bins=32,
    )  # fmt: skip
    ASTModel(config).save_pretrained(tmp_path / "ast")
    ASTFeatureExtractor(num_mel_bins=32, max_length=98).save_pretrained(tmp_path / "ast")
    return tmp_path / "ast"


def test_an_encoder_of_transformers_is_trained_and_used_from_its_checkpoint(of_weights, ast):
    flags = ["--model.hub", str(ast), "--data.clips_per_song", "1"]
    recipe = of_weights(*flags, "--fit.trunk", "last 1", model="encoder")
    assert (recipe.data.features, recipe.data.sample_rate) == ("raw", 16000)
    outcome = train(recipe)
    tagger = Tagger.load(outcome.folder / "best.ckpt")
    wave = np.random.default_rng(0).normal(0, 0.1, 32_000).astype(np.float32)
    assert tagger.predict(wave, 16000).probabilities.sum() == pytest.approx(1)
    trained, first = tagger.network, build_network(recipe.model, 10, (1, 1, 16000))
    for layer, changes in ((0, False), (1, True)):
        ours, theirs = (net.encoder.layers[layer].state_dict() for net in (trained, first))
        assert changes == any(not torch.equal(ours[name], theirs[name]) for name in ours)
    probe = of_weights(
        *("--data.features", "embedding", "--data.embedding", "encoder"),
        *("--data.embedding_weights", str(ast), "--data.sample_rate", "16000"),
        model="logistic_regression",
    )
    assert train(probe).scores["final/valid/songs"] > 0


def test_an_encoder_that_cannot_be_used_is_one_line(ast):
    def made(**settings):
        return build_network(MODEL_SETTINGS["encoder"](**settings), 10, (1, 1, 16000))

    with pytest.raises(UserError, match=r"model\.hub: give a folder"):
        made()
    with pytest.raises(UserError, match=r"model\.hub .*none can't be loaded .*save_pretrained"):
        made(hub=str(ast / "none"))
    spec = PictureSpec.of(Recipe.load("encoder", {"data.sample_rate": 8000}).data)
    with pytest.raises(UserError, match=r"sample_rate 8000: the network expects 16000"):
        check_rate(made(hub=str(ast)), spec)
    config = json.loads((ast / "config.json").read_text())
    config |= {"model_type": "own", "auto_map": {"AutoConfig": "own.Own", "AutoModel": "own.Own"}}
    (ast / "config.json").write_text(json.dumps(config))
    (ast / "own.py").write_text("raise SystemExit('executed')")
    with pytest.raises(UserError, match="asks to run code of its own, which is never done"):
        made(hub=str(ast))
