"""Every file that a user can hand over: it is read, or refused in one line, soon, with no trace."""

import csv
import io
import json
import time
import zipfile
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from conftest import run
from hostile_values import broken_bytes, broken_table, broken_values
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gtzan_lightning.audit import read as audit
from gtzan_lightning.data.corpus import open_corpus
from gtzan_lightning.data.features import PictureSpec
from gtzan_lightning.data.prepared import prepare_clips
from gtzan_lightning.errors import UserError
from gtzan_lightning.inference.tagger import Tagger
from gtzan_lightning.ladder import table as ladder
from gtzan_lightning.models import build_network
from gtzan_lightning.models.baselines import read_table
from gtzan_lightning.models.checkpoint import KEY, Contents, read_checkpoint
from gtzan_lightning.models.weights import read_weights
from gtzan_lightning.recipe.baseline_settings import KnnSettings
from gtzan_lightning.recipe.predictions_csv import read_predictions_csv
from gtzan_lightning.recipe.recipes import Recipe, dump
from gtzan_lightning.results import ledger, tables
from gtzan_lightning.tuning.space import read_space

MOST_SECONDS = 3.0  # of the processor, on a slow machine
# the same 200 examples a kind in every make many, the first of them in every run of the tests;
# make nightly draws others each time
DRAWN = 2000
EXAMPLES = [30, pytest.param(200, marks=pytest.mark.many),
            pytest.param(DRAWN, marks=pytest.mark.slow)]  # fmt: skip
RECIPE = Recipe.load(
    "small_cnn",
    {"model.channels": (4, 4), "data.sample_rate": 8000, "data.n_fft": 512, "data.bins": 32,
     "data.hop_length": 256, "data.clip_seconds": 1, "data.window": 400},
)  # fmt: skip
SPACE = {
    "base": {"fit": {"max_epochs": 3}},
    "space": {
        "fit.learning_rate": {"float": [0.001, 0.01], "log": True},
        "fit.max_epochs": {"int": [4, 16], "step": 4},
        "model.channels": {"int": [4, 16], "layers": [1, 3], "each": True},
        "fit.optimizer": ["adamw", "adam"],
    },
}
NUMBERS = {f"final/test/song_accuracy_{end}": x for end, x in (("low", 0.5), ("high", 0.7))}
RUN = pd.Series(run("0123456789", precision="", commit="a" * 40, date="2026-11-24", **NUMBERS))
ROW = ladder.Measured(
    "svm", "kfold", "kfold 5", "test", 20, 10, 4, 1, 1, 0.5, 0.4, 0.6, 0.0, None, 0.1, "abc",
    "0123456", "gtzan",
)  # fmt: skip
PREDICTIONS = "part,song,artist,start,genre,pop,rock\n" + "".join(
    f"{part},{part} {n},x,{n},{genre},{np.log(0.25):.6f},{np.log(0.75):.6f}\n"
    for part in ("valid", "test")
    for n, genre in enumerate(("pop", "rock"))
)


def examples_of(examples: int) -> settings:
    checks = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
    fixed = examples < DRAWN
    return settings(
        max_examples=examples, derandomize=fixed, deadline=None, suppress_health_check=checks,
        database=None if fixed else settings.default.database,
    )  # fmt: skip


def held(read, file: Path, content: bytes) -> None:
    """A file is read, or refused in one line, in time."""
    file.write_bytes(content)
    begin = time.process_time()
    try:
        read(file)
    except UserError as error:
        text = str(error)
        assert text
        assert text.isprintable()
    assert time.process_time() - begin < MOST_SECONDS


def yaml_bytes(values) -> bytes:
    return yaml.safe_dump(values, sort_keys=False).encode(errors="surrogatepass")


def csv_bytes(rows) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode(errors="surrogatepass")


def read_space_file(file: Path) -> None:
    space = read_space(file, "small_cnn", [], {})
    assert space.text


RECIPES = yaml.safe_load(dump(RECIPE))
WRITTEN = {  # kind -> valid content, how it is read
    "recipe": (RECIPES, lambda file: Recipe.load("small_cnn", configs=[file])),
    "space": (SPACE, read_space_file),
}
TABLES = {
    "ledger": (
        pd.DataFrame([ledger.line(RUN, "s", "r")], columns=ledger.COLUMNS).to_csv(index=False),
        lambda file: tables.tables(ledger.read(file)),
    ),
    "table of compare": (
        tables.tables(pd.DataFrame([run("a"), run("b", recipe="r2")]))[0].csv(),
        lambda file: tables.read_csv(file).markdown(),
    ),
    "table of ladder": (
        ladder.to_csv([ROW, ROW]),
        lambda file: ladder.markdown(ladder.read_csv(file)),
    ),
    "predictions": (PREDICTIONS, lambda file: read_predictions_csv(file, "run a:")),
    "features": (
        "filename,a,b,label\nblues.00000.wav,1,2,blues\npop.00001.wav,3.5,-4e3,pop\n",
        lambda file: read_table(KnnSettings(table=str(file))),
    ),
    "protocol": (
        "song,part,genre\nblues.00000,train,blues\npop.00001,test,pop\n",
        lambda file: audit.with_parts(audit.read(str(file)), str(file)),
    ),
}  # fmt: skip


@pytest.mark.parametrize("examples", EXAMPLES)
@pytest.mark.parametrize("kind", WRITTEN)
def test_recipes_and_spaces(kind, tmp_path, examples):
    content, read = WRITTEN[kind]
    text = yaml_bytes(content)
    (tmp_path / "valid.yaml").write_bytes(text)
    read(tmp_path / "valid.yaml")

    @examples_of(examples)
    @given(st.one_of(broken_values(content).map(yaml_bytes), broken_bytes(text)))
    def hostile(bad):
        held(read, tmp_path / "bad.yaml", bad)

    hostile()


@pytest.mark.parametrize("examples", EXAMPLES)
@pytest.mark.parametrize("kind", TABLES)
def test_tables(kind, tmp_path, examples):
    text, read = TABLES[kind]
    (tmp_path / "valid.csv").write_text(text)
    read(tmp_path / "valid.csv")
    rows = list(csv.reader(io.StringIO(text)))

    @examples_of(examples)
    @given(st.one_of(broken_table(rows).map(csv_bytes), broken_bytes(text.encode())))
    def hostile(bad):
        held(read, tmp_path / "bad.csv", bad)

    hostile()


CORPORA = {
    "waveform": ({"sample_rate": 8000}, (6, 16000), np.int16),
    "picture": (
        {"sample_rate": 8000, "bins": 32, "n_fft": 512, "window": 400, "hop_length": 256,
         "f_min": 0.0, "f_max": 4000.0, "seconds_per_frame": 0.032},
        (6, 32, 62),
        np.uint8,
    ),
}  # fmt: skip


def corpus_of_others(folder: Path, kind: str) -> dict[str, bytes]:
    """The files of a packed corpus that somebody else made."""
    more, shape, numbers = CORPORA[kind]
    folder.mkdir()
    np.save(folder / "array.npy", np.ones(shape, numbers))
    songs = [["id", "genre", "artist", "length"]]
    songs += [[f"s{n}", "ab"[n % 2], "x", str(shape[-1])] for n in range(6)]
    (folder / "songs.csv").write_bytes(csv_bytes(songs))
    info = {"kind": kind, "name": "own", "genres": ["a", "b"], **more}
    (folder / "corpus.json").write_text(json.dumps(info))
    left = [["what", "name", "detail", "left_out"], ["silent", "s9", "", "1"]]
    (folder / "left_out.csv").write_bytes(csv_bytes(left))
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def use_corpus(file: Path) -> None:
    corpus = open_corpus(file.parent)
    assert corpus.fingerprint
    assert corpus.artists
    prepared = prepare_clips(RECIPE.data.model_copy(update={"split": "stratified"}), corpus)
    assert corpus.recording(0).shape[-1]
    assert prepared.split.fingerprint


@pytest.mark.parametrize("examples", EXAMPLES)
@pytest.mark.parametrize("kind", CORPORA)
def test_corpora_of_others(kind, tmp_path, examples):
    valid = corpus_of_others(tmp_path / "corpus", kind)
    use_corpus(tmp_path / "corpus" / "corpus.json")
    songs = list(csv.reader(io.StringIO(valid["songs.csv"].decode())))
    info = json.loads(valid["corpus.json"])
    infos = broken_values(info).map(lambda values: json.dumps(values).encode())
    bad_files = st.one_of(
        st.tuples(st.just("corpus.json"), infos),
        st.tuples(st.just("songs.csv"), broken_table(songs).map(csv_bytes)),
        *(st.tuples(st.just(name), broken_bytes(content)) for name, content in valid.items()),
    )

    @examples_of(examples)
    @given(bad_files)
    def hostile(bad):
        held(use_corpus, tmp_path / "corpus" / bad[0], bad[1])
        (tmp_path / "corpus" / bad[0]).write_bytes(valid[bad[0]])

    hostile()


@pytest.fixture(scope="module")
def fields():
    """What a checkpoint says of itself, and its weights."""
    spec, shape = PictureSpec.of(RECIPE.data), (1, 32, 31)
    network = build_network(RECIPE.model, 3, shape)
    contents = Contents(
        RECIPE, ["blues", "pop", "rock"], "waveform", spec.to_dict(), shape, "gtzan", "abc",
        "kfold", "abc",
    )  # fmt: skip
    content = {"state_dict": {f"network.{n}": t for n, t in network.state_dict().items()}}
    contents.write(content)
    return content


def saved(content) -> bytes:
    file = io.BytesIO()
    torch.save(content, file)
    return file.getvalue()


def use_checkpoint(file: Path) -> None:
    tagger = Tagger(read_checkpoint(file))
    assert tagger.probabilities(np.ones(8000, np.float32)).shape == (1, len(tagger.genres))


@pytest.mark.parametrize("examples", EXAMPLES)
def test_fields_of_checkpoints(fields, tmp_path, examples):
    plain = json.loads(json.dumps(fields[KEY]))

    @examples_of(examples)
    @given(broken_values(plain))
    def hostile(bad):
        held(use_checkpoint, tmp_path / "bad.ckpt", saved({**fields, KEY: bad}))

    (tmp_path / "valid.ckpt").write_bytes(saved(fields))
    use_checkpoint(tmp_path / "valid.ckpt")
    hostile()


@pytest.mark.parametrize("examples", EXAMPLES)
@pytest.mark.parametrize("read", [use_checkpoint, read_weights], ids=["checkpoint", "weights"])
def test_bytes_of_tensors(fields, tmp_path, read, examples):
    content = saved(fields if read is use_checkpoint else fields["state_dict"])

    @examples_of(examples)
    @given(broken_bytes(content))
    def hostile(bad):
        held(read, tmp_path / "bad.pt", bad)

    hostile()


def test_a_checkpoint_that_asks_for_more_memory_than_its_weights_have(fields, tmp_path):
    plain = json.loads(json.dumps(fields[KEY]))
    plain["recipe"]["model"]["channels"] = [2**15] * 32  # a terabyte
    (tmp_path / "bad.ckpt").write_bytes(saved({**fields, KEY: plain}))
    begin = time.process_time()
    with pytest.raises(UserError, match="weights have other sizes: "):
        use_checkpoint(tmp_path / "bad.ckpt")
    assert time.process_time() - begin < MOST_SECONDS


def test_an_archive_that_unpacks_to_more_than_it_is(fields, tmp_path):
    small = tmp_path / "bad.ckpt"
    (tmp_path / "valid.ckpt").write_bytes(saved(fields))
    with (
        zipfile.ZipFile(tmp_path / "valid.ckpt") as valid,
        zipfile.ZipFile(small, "w", zipfile.ZIP_DEFLATED) as packed,
    ):
        for name in valid.namelist():
            packed.writestr(name, valid.read(name))
    for read in (read_checkpoint, read_weights):
        with pytest.raises(UserError, match=r"an archive that torch\.save did not write"):
            read(small)


@pytest.mark.filterwarnings("ignore:Sparse invariant")
@pytest.mark.parametrize("read", [read_checkpoint, partial(read_weights)], ids=["ckpt", "weights"])
def test_tensors_that_are_no_numbers_or_larger_than_their_file(fields, tmp_path, read):
    name, weight = next(iter(fields["state_dict"].items()))
    broken = weight.clone()
    broken.view(-1)[0] = float("nan")
    for tensor, said in (
        (broken, f"1 of {weight.numel()} values of {name} are no numbers"),
        (torch.zeros(1).expand(2**40), f"{name} is larger than the file"),
        (weight.to_sparse(), f"{name} is no plain tensor"),
        (weight.to(torch.complex64), f"{name} is no plain tensor"),
    ):
        state = {**fields["state_dict"], name: tensor}
        torch.save({**fields, "state_dict": state} if read is read_checkpoint else state,
                   tmp_path / "bad.pt")  # fmt: skip
        with pytest.raises(UserError, match=said):
            read(tmp_path / "bad.pt")
