import resource
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import get_args

import pytest
import yaml

from gtzan_lightning.errors import UserError
from gtzan_lightning.models import BASELINES, MODELS
from gtzan_lightning.recipe.command_line import guarded, parse_run
from gtzan_lightning.recipe.model_settings import MODEL_SETTINGS
from gtzan_lightning.recipe.protocol_names import Protocol
from gtzan_lightning.recipe.recipes import MODEL_RECIPES, as_flags, build_recipe, dump, read_recipe

ROOT = Path(__file__).parents[2]
RUN = str(ROOT / "experiments" / "run.py")
TAG = str(ROOT / "experiments" / "tag.py")
EXPLAIN = str(ROOT / "experiments" / "explain.py")
COMPARE = str(ROOT / "experiments" / "compare.py")


def recipe(*flags: str):
    return parse_run(list(flags))[0]


def complaint(*flags: str) -> str:
    with pytest.raises(UserError) as caught:
        parse_run(list(flags))
    assert "\n" not in str(caught.value)
    return as_flags(str(caught.value))  # as the command prints it


@pytest.mark.parametrize(
    ("script", "flags", "status"),
    [
        (RUN, ["--help"], 0),
        (RUN, ["--model", "resnet", "--help"], 0),
        (RUN, ["--list", "models"], 0),
        (RUN, ["--model", "efficientnt"], 2),
        (COMPARE, ["--help"], 0),
        (TAG, [str(ROOT), "--out", str(ROOT / "docs" / "results.csv")], 2),  # it exists
        (TAG, [str(ROOT / "nowhere"), "--out", "x.csv"], 2),
        (TAG, [str(ROOT), "--out", "x.csv", "--run", "none.ckpt"], 2),
        (EXPLAIN, ["--run", "nonsense", "--track.folder", "nowhere", "--song", "x"], 2),
    ],
)
def test_answers_in_under_a_second_without_a_traceback(script, flags, status):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([sys.executable, script, *flags], capture_output=True, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == status
    assert done.stderr.count("\n") == (status == 2)
    assert "Traceback" not in done.stderr
    # processor time, so that a busy machine does not fail the test
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 1


def test_help_shows_what_the_recipe_of_the_model_sets(capsys):
    with pytest.raises(SystemExit):
        parse_run(["--model", "efficientnet", "--help"])
    said = " ".join(capsys.readouterr().out.split())
    epochs = recipe("--model", "efficientnet").fit.max_epochs
    assert f"from every training song (default: {epochs})" in said
    assert "--model.drop_path FLOAT stochastic depth (default: 0.2)" in said


def test_nothing_heavy_is_imported_before_the_command_line_is_known():
    code = (
        "import sys, runpy; sys.argv = ['run.py', '--list', 'models']\n"
        f"try: runpy.run_path({RUN!r}, run_name='__main__')\n"
        "except SystemExit: pass\n"
        "print([m for m in ('torch', 'lightning', 'mlflow', 'numpy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_unknown_model_names_the_near_miss():
    assert "did you mean 'efficientnet'" in complaint("--model", "efficientnt")
    assert "there are efficientnet, resnet" in complaint("--model", "zzz")


def test_unknown_flag_names_the_near_miss():
    said = complaint("--model", "resnet", "--data.clip_secnds", "3")
    assert "'--data.clip_secnds'" in said
    assert "did you mean '--data.clip_seconds'" in said


@pytest.mark.parametrize(
    ("command", "flags", "flag"),
    [
        ("tag", ["--outt", "x.csv"], "--out"),  # also lacks the files
        ("audit", ["--htm", "x"], "--html"),  # lacks WHAT
        ("sweep", ["--spce", "x"], "--space"),  # lacks model and space
        ("sweep", ["--model", "vgg", "--fit.max_epoch", "3"], "--fit.max_epochs"),
        ("ladder", ["--model", "small_cnn", "--rugs", "x"], "--rungs"),
        ("reproduce", ["--missing", "--hour=3"], "--hours"),
        ("export", ["--seconds", "3", "--rum", "x"], "--run"),
    ],
)
def test_the_hint_comes_before_what_is_missing(command, flags, flag):
    with pytest.raises(UserError, match=f"did you mean '{flag}'"):
        import_module(f"gtzan_lightning.commands.{command}").main(flags)


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--data.clip_seconds", "abc"], ["--data.clip_seconds", "number", "'abc'"]),
        (["--data.split", "filterd"], ["--data.split", "'filtered'", "'filterd'"]),
        (["--augment.mask", "1.5"], ["--augment.mask", "less than or equal to 1"]),
        (["--data.fractions", "0.5", "0.1"], ["data.fractions", "sum to 1"]),
        (["--track.register", "a", "--track.log_model", "false"], ["--track.register needs"]),
        (["--model", "svm", "--track.register", "a"], ["--track.register", "not svm"]),
        (["--track.register", "a/b"], ["--track.register", "'a/b'"]),
        (["--track.also", "tensorbord"], ["--track.also", "'tensorboard'", "'tensorbord'"]),
        (["--data.fold", "7"], ["data.fold 7", "data.folds 5"]),
        (["--data.f_max", "20000"], ["data.f_max 20000"]),
        (["--model.depth", "34"], ["--model.depth", "18 or 50"]),
        (["--fit.max_time", "5min"], ["--fit.max_time", "'5min'"]),
        (["--fit.devices", "two"], ["--fit.devices", "'two'"]),
        (["--fit.check_val_every_n_epoch", "99"], ["fit.check_val_every_n_epoch 99"]),
        (["--track.uri", "https://me:pw@host/"], ["MLFLOW_TRACKING_PASSWORD"]),
        (["--data.root"], ["--data.root", "expected one argument"]),
    ],
)
def test_wrong_values_are_one_clear_line(flags, words):
    said = complaint("--model", "resnet", *flags)
    assert all(word in said for word in words), said


def test_misspelt_recipe_key_names_file_and_near_miss(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text("fit: {learning_rat: 0.1}\n")
    said = complaint("--model", "resnet", "--config", str(file))
    assert str(file) in said
    assert "'fit.learning_rat': did you mean 'learning_rate'" in said
    file.write_text("fti: {}\n")
    assert "'fti': did you mean 'fit'" in complaint("--model", "resnet", "--config", str(file))
    file.write_text("1: {}\nmodel: [a]\n")
    assert "unknown model" in complaint("--config", str(file))
    assert "unknown key 1" in complaint("--model", "resnet", "--config", str(file))
    file.write_text("fit: [1\n")
    assert "is no plain YAML" in complaint("--model", "resnet", "--config", str(file))
    assert "can't be read" in complaint("--model", "resnet", "--config", str(tmp_path / "no.yaml"))


def test_flags_lie_over_recipes_and_recipes_over_defaults(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text("model: {name: resnet, depth: 18}\nfit: {max_epochs: 7, batch_size: 9}\n")
    got = recipe("--config", str(file), "--fit.batch_size", "11", "--model.pretrained", "true")
    assert (got.model.name, got.model.depth, got.model.pretrained) == ("resnet", 18, True)
    assert (got.fit.max_epochs, got.fit.batch_size) == (7, 11)
    assert recipe("--model", "resnet", "--data.f_max", "none").data.f_max is None


def test_the_default_that_the_help_prints_can_be_given():
    assert recipe("--model", "resnet", "--data.leave_out", "none") == recipe("--model", "resnet")
    assert recipe("--model", "knn", "--model.columns", "none") == recipe("--model", "knn")


def test_splits_are_listed_with_a_line_on_each(capsys):
    with pytest.raises(SystemExit):
        parse_run(["--list", "splits"])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(get_args(Protocol))
    assert all(len(line.split()) > 5 for line in lines)


def test_printed_recipe_rebuilds_itself(tmp_path, capsys):
    flags = ["--model", "resnet", "--model.depth", "18", "--data.fractions", "0.8", "0.2"]
    with pytest.raises(SystemExit):
        parse_run([*flags, "--print_config"])
    file = tmp_path / "same.yaml"
    file.write_text(capsys.readouterr().out)
    assert recipe("--config", str(file)) == recipe(*flags)


def test_one_name_in_four_places():
    recipes = {file.stem for file in MODEL_RECIPES.glob("*.yaml")}
    assert {*MODELS, *BASELINES} == set(MODEL_SETTINGS) == recipes


@pytest.mark.parametrize("file", sorted(MODEL_RECIPES.glob("*.yaml")), ids=lambda f: f.stem)
def test_every_recipe_is_a_short_delta_with_a_header(file):
    text = file.read_text()
    built = build_recipe(file.stem, [(str(file), read_recipe(file))], {})
    assert build_recipe(file.stem, [("again", yaml.safe_load(dump(built)))], {}) == built
    assert len([line for line in text.splitlines() if line and line[0] != "#"]) <= 20
    assert text.startswith("# python experiments/run.py --model " + file.stem)


def test_resume_of_no_run_says_so(tmp_path):
    said = complaint("--resume", "abc", "--track.folder", str(tmp_path))
    assert "no run to resume" in said


def test_a_library_that_is_not_installed_is_one_line(capsys):
    def main(argv):
        raise ModuleNotFoundError("No module named 'gradio'", name="gradio")

    with pytest.raises(SystemExit) as stopped:
        guarded(main)
    assert stopped.value.code == 2
    assert "gradio is missing: pip install -e '.[web]'" in capsys.readouterr().err


def test_a_closed_pipe_is_no_traceback():
    """As of ``run.py --list models | head -1``."""
    command = f"{sys.executable} {RUN} --list models | true"
    done = subprocess.run(command, shell=True, capture_output=True, text=True)
    assert done.stderr == ""
