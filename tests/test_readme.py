"""The README and the pages: commands are parsed, links lead somewhere, tables are true."""

import importlib
import re
import shlex
from pathlib import Path

import pytest

from experiments import ladder, models
from gtzan_lightning.commands import results
from gtzan_lightning.recipe.command_line import parse_run
from gtzan_lightning.recipe.model_settings import MODEL_SETTINGS

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
README = ROOT / "README.md"
OTHERS = [ROOT / name for name in ("CONTRIBUTING.md", "SECURITY.md", "data/README.md")]
PAGES = [README, *OTHERS, *sorted(DOCS.glob("*.md"))]
TEXTS = {str(page.relative_to(ROOT)): page.read_text() for page in PAGES}
LANGUAGES = {
    language: [
        block
        for text in TEXTS.values()
        for block in re.findall(rf"```{language}\n(.*?)```", text, re.S)
    ]
    for language in ("sh", "python")
}
COMMANDS = sorted(
    {line.partition("#")[0].strip() for block in LANGUAGES["sh"] for line in block.splitlines()}
)


@pytest.mark.parametrize("command", [c for c in COMMANDS if "experiments/run.py" in c])
def test_run_commands_are_parsed(command):
    words = shlex.split(command)
    assert (ROOT / words[1]).exists()
    if not {"--resume", "--list", "--print_config"} & set(words):  # the last two print and stop
        recipe, _ = parse_run(words[2:])
        assert "--model" not in words or recipe.model.name == words[words.index("--model") + 1]


@pytest.mark.parametrize("command", [c for c in COMMANDS if "python experiments/" in c])
def test_the_flags_of_other_commands_are_known(command, capsys):
    """``--help`` is asked after them: a flag that does not exist is an error before that."""
    words = shlex.split(command)
    main = importlib.import_module(words[1].removesuffix(".py").replace("/", ".")).main
    with pytest.raises(SystemExit) as ended:
        main([*words[2:], "--help"])
    assert ended.value.code == 0
    printed = capsys.readouterr().out
    for flag in (word for word in words[2:] if word.startswith("--")):
        if flag.partition(".")[0] not in ("--data", "--fit", "--model", "--augment"):
            assert flag in printed, flag


def test_make_targets_exist():
    makefile = (ROOT / "Makefile").read_text()
    targets = {c.split()[1] for c in COMMANDS if c.startswith("make ")}
    assert targets >= {"run", "test", "ui"}
    assert all(re.search(rf"^{target}:", makefile, re.M) for target in targets)


def test_scripts_named_in_sentences_exist():
    for text in TEXTS.values():
        for script in re.findall(
            r"`(?:python |bash )?((?:experiments|tests|docs|examples)/[\w./]+)", text
        ):
            assert (ROOT / script).exists(), script


@pytest.mark.parametrize("page", TEXTS)
def test_links_lead_somewhere(page):
    for link in re.findall(r"\]\(([^)\s]+)\)", TEXTS[page]):
        path, _, anchor = link.partition("#")
        if path.startswith(("http:", "https:")):
            continue
        target = (ROOT / page).parent / path if path else ROOT / page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target.read_text()), link


def anchors(text: str) -> set[str]:
    """The names that GitHub gives to a page's headings."""
    prose = re.sub(r"```.*?```", "", text, flags=re.S)
    headings = re.findall(r"^#+ (.*)$", prose, re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_page_is_in_the_index():
    for page in DOCS.glob("*.md"):
        assert page.name == "README.md" or f"]({page.name})" in TEXTS["docs/README.md"], page


def test_the_readme_is_read_in_three_minutes():
    assert len(README.read_text().split()) <= 1500


@pytest.fixture(scope="module")
def written():
    return results.pages(ROOT)


def test_tables_and_headers_are_those_of_the_ledger(written):
    assert set(results.PAGES) < set(written)
    for page, text in written.items():
        assert text == (ROOT / page).read_text(), page
        assert ("<!-- results: " if page in results.PAGES else "easured ") in text
    assert len(written) == len(results.PAGES) + len(MODEL_SETTINGS)


def test_what_is_said_of_the_sources_is_in_the_tables_beside_it():
    page = TEXTS["docs/reproductions.md"]
    said = page[page.index("## What held") : page.index("## What each defect")]
    tables = page.replace(said, "")
    numbers = re.findall(r"0\.\d{3,4}", said)
    assert len(numbers) > 15
    assert [number for number in numbers if number not in tables] == []


def test_the_ladder_is_what_its_command_prints(capsys, monkeypatch):
    monkeypatch.chdir(ROOT)
    page = TEXTS["docs/ladder.md"]
    ((line, block),) = re.findall(r"<!-- ladder: (.*?) -->\n(.*?)<!-- /ladder -->", page, re.S)
    words = shlex.split(line)
    assert words[:2] == ["python", "experiments/ladder.py"]
    ladder.main(words[2:])
    assert capsys.readouterr().out.strip() == block.strip()


def test_the_models_are_what_their_command_prints(capsys):
    models.main([])
    printed = [re.sub(r" +", " ", line) for line in capsys.readouterr().out.splitlines()]
    assert "\n".join(printed[2:]) in re.sub(r" +", " ", TEXTS["docs/models.md"])


@pytest.mark.parametrize("block", LANGUAGES["python"])
def test_python_compiles_and_imports_what_there_is(block):
    compile(block, "page", "exec")
    for module, names in re.findall(r"^from (gtzan_lightning[\w.]*) import (.*)$", block, re.M):
        for name in names.split(", "):
            assert hasattr(importlib.import_module(module), name), name


def test_the_counts_of_the_attack_are_those_of_its_page():
    page = (ROOT / "docs" / "attack.md").read_text()
    (counts,) = re.findall(r"^tried .*$", page, re.M)
    assert f"[Attacked](docs/attack.md): {counts}." in README.read_text()
