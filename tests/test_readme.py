"""Every command of the README is parsed, and what it names exists."""

import importlib
import re
import shlex
from pathlib import Path

import pytest

from gtzan_lightning.recipe.command_line import parse_run
from gtzan_lightning.results.reproductions import systems

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
COMMANDS = [
    line.partition("#")[0].strip()
    for block in re.findall(r"```sh\n(.*?)```", README, re.S)
    for line in block.splitlines()
]


@pytest.mark.parametrize("command", sorted({c for c in COMMANDS if "run.py" in c}))
def test_run_commands_are_parsed(command):
    words = shlex.split(command)
    assert (ROOT / words[1]).exists()
    if "--resume" not in words:
        recipe, _ = parse_run(words[2:])
        assert "--model" not in words or recipe.model.name == words[words.index("--model") + 1]


@pytest.mark.parametrize("command", sorted({c for c in COMMANDS if "python experiments/" in c}))
def test_the_flags_of_other_commands_are_known(command, capsys):
    """``--help`` is asked after them: a flag that does not exist is an error before that."""
    words = shlex.split(command)
    main = importlib.import_module(words[1].removesuffix(".py").replace("/", ".")).main
    with pytest.raises(SystemExit) as ended:
        main([*words[2:], "--help"])
    assert ended.value.code == 0
    said = capsys.readouterr().out
    for flag in (word for word in words[2:] if word.startswith("--")):
        if flag.partition(".")[0] not in ("--data", "--fit", "--model", "--augment"):
            assert flag in said, flag


def test_make_targets_and_pictures_exist():
    makefile = (ROOT / "Makefile").read_text()
    targets = {c.split()[1] for c in COMMANDS if c.startswith("make ")}
    assert targets >= {"run", "test", "ui"}
    assert all(re.search(rf"^{target}:", makefile, re.M) for target in targets)
    for path in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / path).exists(), path


def test_the_table_of_the_seeds_is_that_of_its_command():
    table = [
        line
        for line in (ROOT / "docs" / "reproductions.md").read_text().splitlines()
        if "|" in line
    ]
    assert len(table) == 2 + len(systems(ROOT / "experiments" / "recipes" / "reproductions"))
    assert "\n".join(table) in README
