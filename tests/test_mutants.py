"""The list of mutants keeps up with the package; ``make mutants`` runs it."""

from pathlib import Path

import pytest
from mutant_list import MUTANTS, Mutant
from mutants import judge, place_of

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_every_mutant_still_has_its_place_and_its_tests(mutant):
    assert place_of(mutant) is None
    assert mutant.old != mutant.new
    for test in mutant.tests:
        file, _, name = test.partition("::")
        text = (ROOT / file).read_text()
        assert not name or f"def {name}(" in text, test


@pytest.mark.parametrize(
    ("tested", "old", "said"),
    [("3", "1 + 1", "killed"), ("2", "1 + 1", "SURVIVED"), ("2", "gone", "STALE: its text")],
)
def test_a_mutant_is_killed_by_a_test_that_fails_alone(tmp_path, tested, old, said):
    (tmp_path / "code.py").write_text("TWO = 1 + 1\n")
    profile = "from hypothesis import settings\nsettings.register_profile('mutants')\n"
    (tmp_path / "conftest.py").write_text(profile)
    (tmp_path / "test_code.py").write_text(
        f"from code import TWO\ndef test_two(): assert TWO in (2, 5 - {tested})\n"
    )
    mutant = Mutant("three", "code.py", old, "1 + 2", ("test_code.py",))
    assert judge(mutant, tmp_path).result.startswith(said)
    assert (tmp_path / "code.py").read_text() == "TWO = 1 + 1\n"
