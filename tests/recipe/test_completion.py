"""What a shell gets at the tabulator key: the protocol of argcomplete, without a shell."""

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from gtzan_lightning.__main__ import COMMANDS
from gtzan_lightning.recipe.model_settings import MODEL_SETTINGS
from gtzan_lightning.recipe.protocol_names import PROTOCOLS

ROOT = Path(__file__).parents[2]


def offered(line: str, folder: Path) -> set[str]:
    """The words that a shell would offer at the end of a line."""
    by_python = line.startswith("python")
    program = ["experiments/run.py"] if by_python else ["-m", "gtzan_lightning"]
    answer = folder / "answer"
    answer.touch()
    asked = {
        "_ARGCOMPLETE": "2" if by_python else "1",
        "_ARGCOMPLETE_IFS": "\n",
        "_ARGCOMPLETE_STDOUT_FILENAME": str(answer),
        "COMP_LINE": line,
        "COMP_POINT": str(len(line.encode())),
        "COMP_TYPE": "9",
    }
    env = {**os.environ, "PYTHONPATH": str(ROOT), **asked}
    subprocess.run([sys.executable, *program], cwd=ROOT, env=env, capture_output=True, check=False)
    return {word.strip() for word in answer.read_text().split("\n") if word.strip()}


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("gtzan ", {*COMMANDS, "--help", "--version"}),
        ("gtzan tag 'two words' --ru", {"--run"}),
        ("gtzan run --model ", set(MODEL_SETTINGS)),
        ("gtzan run --model small_cnn --data.split ", set(PROTOCOLS)),
        ("gtzan run --model small_cnn --model.chan", {"--model.channels"}),
        ("gtzan run --model nosuch --fit.optimizer ", {"adamw", "adam", "rmsprop"}),
        ("gtzan run --fit.compile t", {"true"}),
        ("gtzan sweep --model vgg --sp", {"--space"}),
        ("gtzan sweep --model vgg --fit.max_ep", {"--fit.max_epochs"}),
        ("gtzan reproduce --missing --data.sp", {"--data.split", "--data.split_seed"}),
        ("gtzan run --fit.max_epochs ", set()),
        ("python experiments/run.py --model resn", {"resnet"}),
    ],
)
def test_commands_flags_and_names_are_completed_in_no_time(tmp_path, line, words):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert offered(line, tmp_path) == words
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    # processor time: 0.25 s on the machine of the measurements
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 0.6
