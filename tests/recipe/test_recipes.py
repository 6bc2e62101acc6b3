import pytest
from pydantic import ValidationError

from gtzan_lightning.errors import UserError
from gtzan_lightning.recipe.command_line import parse_run
from gtzan_lightning.recipe.identity import identities, recipe_key
from gtzan_lightning.recipe.model_settings import MODEL_SETTINGS, EfficientNetSettings
from gtzan_lightning.recipe.recipes import Recipe, as_flags, dump, interrupted_recipe
from gtzan_lightning.recipe.section import part
from gtzan_lightning.recipe.settings import DataSettings

SETTINGS = {"data.root": "songs", "data.fractions": (0.5, 0.5), "fit.max_epochs": 3, "seed": 7}
FLAGS = ["--data.root", "songs", "--data.fractions", "0.5", "0.5", "--fit.max_epochs", "3"]


@pytest.mark.parametrize("name", [*MODEL_SETTINGS, "custom"])
def test_every_setting_says_whether_it_is_part_of_the_recipe(name):
    recipe = Recipe.load(name)
    declared = identities(recipe)
    assert set(declared.values()) <= {"part", "place", "draw", "file"}
    sections = [section for key, section in recipe if key not in ("seed", "tuned_on", "quick")]
    assert len(declared) == 3 + sum(len(type(section).model_fields) for section in sections)


def test_a_new_setting_that_forgets_to_say_so_is_noticed():
    class Forgetful(DataSettings):
        knob: int = 1

    class Declared(DataSettings):
        knob: int = part(1)

    recipe = Recipe.load("small_cnn")
    with pytest.raises(KeyError, match="identity"):
        recipe_key(recipe.model_copy(update={"data": Forgetful()}))
    assert identities(recipe.model_copy(update={"data": Declared()}))["data.knob"] == "part"


def test_the_key_knows_parts_and_no_places():
    def key(**settings):
        return recipe_key(
            Recipe.load("svm", {n.replace("__", "."): v for n, v in settings.items()})
        )

    plain = key()
    assert key(data__root="elsewhere", data__fold=1, seed=3, track__name="x") == plain
    assert key(data__clip_seconds=2) != plain
    assert key(data__split_seed=1) != plain
    filtered = key(data__split="filtered")
    assert key(data__split="filtered", data__split_seed=1) == filtered != plain
    half = {"data__split": "filtered", "data__train_share": 0.5}
    assert key(**half) != key(**half, data__split_seed=1)
    assert key(model__table="a/t.csv") == key(model__table="b/t.csv") != plain


@pytest.mark.parametrize(
    "other",
    [{"augment.mixup": 0.4}, {"augment.audio": 0.0}, {"fit.label_smoothing": 0.3},
     {"fit.learning_rate": 0.02}, {"model.channels": (8, 16)}, {"data.features": "mfcc"}],
    ids=lambda other: next(iter(other)),
)  # fmt: skip
def test_recipes_that_differ_in_one_setting_are_two(other):
    assert recipe_key(Recipe.load("small_cnn", other)) != recipe_key(Recipe.load("small_cnn"))


@pytest.mark.parametrize("name", MODEL_SETTINGS)
def test_python_and_the_command_line_make_the_same_recipe(name):
    assert Recipe.load(name, SETTINGS) == parse_run(["--model", name, *FLAGS, "--seed", "7"])[0]


def test_a_recipe_file_lies_over_the_models_own(tmp_path):
    file = tmp_path / "more.yaml"
    file.write_text("fit: {max_epochs: 2}")
    recipe = Recipe.load("efficientnet", {"seed": 1}, [file])
    own = Recipe.load("efficientnet")
    assert (recipe.fit.max_epochs, recipe.fit.learning_rate) == (2, own.fit.learning_rate)
    file.write_text(dump(recipe))
    assert Recipe.load("efficientnet", configs=[file]) == recipe


def test_plain_defaults_are_never_taken_for_a_models_own_recipe():
    """They differ in eight settings from ``--model efficientnet``."""
    with pytest.raises(ValidationError, match="Field required"):
        Recipe(model=EfficientNetSettings())


def test_bad_settings_are_one_line_without_dashes():
    for model, settings, said in (
        ("small_cn", {}, "unknown model 'small_cn': did you mean 'small_cnn'?"),
        ("small_cnn", {"fit.epochs": 3}, "unknown key 'fit.epochs'"),
        ("small_cnn", {"fit.max_epochs": 0}, "fit.max_epochs: input should be greater"),
    ):
        with pytest.raises(UserError, match=said.replace("?", r"\?")) as caught:
            Recipe.load(model, settings)
        assert "\n" not in str(caught.value)
        assert "--" not in str(caught.value)


def test_the_command_line_adds_the_dashes():
    said = (
        "data.clip_seconds 3 is above fit.nothing and data.csv; see --data.root and model.breadth"
    )
    assert as_flags(said) == (
        "--data.clip_seconds 3 is above fit.nothing and data.csv; see --data.root and model.breadth"
    )
    assert as_flags("model.stride: 3") == "--model.stride: 3"


def test_an_old_run_resumes_with_the_name_that_its_source_has_now(tmp_path):
    recipe = Recipe.load("bbnn", {"model.variant": "basak", "track.folder": str(tmp_path)})
    folder = tmp_path / "runs" / "abc"
    folder.mkdir(parents=True)
    (folder / "recipe.yaml").write_text(dump(recipe).replace("variant: basak", "variant: seed_001"))
    assert interrupted_recipe(str(tmp_path), "abc") == recipe


@pytest.mark.parametrize("text", ["track: []", "model: {}", "3", "fit: {a: &b 1}", "data: x"])
def test_a_run_with_a_damaged_recipe_is_one_line(tmp_path, text):
    folder = tmp_path / "runs" / "abc"
    folder.mkdir(parents=True)
    (folder / "recipe.yaml").write_text(text)
    with pytest.raises(UserError, match=r"run abc is of another version|recipe .*recipe\.yaml"):
        interrupted_recipe(str(tmp_path), "abc")
    with pytest.raises(UserError, match="there is no run to resume"):
        interrupted_recipe(str(tmp_path), "../runs/abc")


def test_a_custom_network_is_not_for_the_command_line():
    with pytest.raises(UserError, match="trained from Python"):
        parse_run(["--model", "custom"])


def test_the_number_format_makes_no_other_recipe():
    half = Recipe.load("small_cnn", {"fit.precision": "bf16-mixed"})
    assert recipe_key(half) == recipe_key(Recipe.load("small_cnn"))


def test_a_quick_recipe_is_another_one_and_flags_lie_over_it():
    plain = parse_run(["--model", "small_cnn"])[0]
    quick = parse_run(["--model", "small_cnn", "--quick", "--fit.max_epochs", "2"])[0]
    assert recipe_key(plain) == recipe_key(plain.model_copy(update={"quick": False}))
    assert recipe_key(plain) != recipe_key(plain.model_copy(update={"quick": True}))
    assert quick.quick
    assert (quick.fit.max_epochs, quick.augment.spectrogram) == (2, 0)
    assert quick.fit.limit_train_batches < 100
    network = parse_run(["--model", "efficientnet", "--quick"])[0].model
    assert network.drop_path == 0 < parse_run(["--model", "efficientnet"])[0].model.drop_path
