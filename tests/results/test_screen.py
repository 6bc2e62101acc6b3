"""Tables in a terminal of 80 columns, and piped."""

import re

import pandas as pd
import pytest
from conftest import run

from gtzan_lightning.results.screen import shown
from gtzan_lightning.results.tables import table_of
from gtzan_lightning.terminal import fitted

RUNS = pd.DataFrame([
    run("aaaaaaaa1111", model="a_network_of_a_very_long_name", warning="LEAKY PROTOCOL"),
    run("bbbbbbbb2222", recipe="r2", **{"final/test/song_accuracy": 0.7}),
    run("cccccccc3333", recipe="r2", seed="1", **{"final/test/song_accuracy": 0.8}),
    run("dddddddd4444", recipe="r2", seed="2", status="KILLED"),
])  # fmt: skip


@pytest.fixture
def terminal(monkeypatch):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", "80")


def lines_of(text: str) -> list[str]:
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text).splitlines()


def test_a_table_fits_a_terminal_and_marks_the_own_run(terminal):
    lines = lines_of(shown(table_of(RUNS, "cccccccc3333"), "cccccccc3333"))
    assert max(map(len, lines)) <= 80
    text = "\n".join(lines)
    own = next(line for line in lines if "bbbbbbbb +2" in line)  # the newest finished one first
    assert own.strip().startswith("> ")
    assert re.search(r"0\.750 ± 0\.071 \[0\.\d{3}, 0\.\d{3}\]", own)
    assert re.search(r"aaaaaaaa +0\.600 \[0\.\d{3}, 0\.\d{3}\]", text)
    assert "LEAKY PROTOCOL" in text


def test_a_pipe_gets_markdown_with_every_number(capsys):
    table = table_of(RUNS, "bbbbbbbb2222")
    text = shown(table, "bbbbbbbb2222")
    assert text == table.markdown("bbbbbbbb2222")
    titles, _, *rows = [line for line in text.splitlines() if line.startswith("|")]
    assert titles.split("|")[-2].strip() == "run"
    assert [row.split("|")[-2].strip() for row in rows] == ["bbbbbbbb +2", "aaaaaaaa"]
    # of documents, whose readers have no store
    assert "bbbbbbbb" not in table.markdown(with_runs=False)


def test_sentences_break_between_words_in_a_terminal_alone(terminal, monkeypatch):
    text = f"{'word ' * 30}\n\x1b[1m{'x' * 78}\x1b[0m\n  short\nhttp://{'y' * 90}"
    lines = fitted(text).split("\n")
    assert all(set(line.split()) == {"word"} and len(line) <= 80 for line in lines[:2])
    assert lines[2:] == text.split("\n")[1:]  # what fits stays, a link is never broken
    monkeypatch.setattr("sys.stdout.isatty", lambda: False)
    assert fitted(text) == text
