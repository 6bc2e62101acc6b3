import subprocess

import pytest

from gtzan_lightning.tracking.environment import checkout, is_dirty, source


def made(folder, *files):
    for file in files:
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_text("before")
    as_us = ("-c", "user.name=us", "-c", "user.email=us@example.org")
    for words in (["init"], ["add", "."], [*as_us, "commit", "-m", "all"]):
        subprocess.run(["git", *words], cwd=folder, check=True, capture_output=True)


def test_a_package_that_is_installed_inside_a_repository_is_not_of_its_commit(tmp_path):
    made(tmp_path, "paper.tex", ".gitignore", "package/a.py")
    assert len(checkout(tmp_path / "package" / "a.py")["commit"]) == 40
    (tmp_path / "venv").mkdir()
    (tmp_path / "venv" / "a.py").write_text("before")
    assert checkout(tmp_path / "venv" / "a.py") == {"commit": "unknown", "dirty": "false"}


def test_changed_modules_are_another_source(tmp_path):
    made(tmp_path, "a.py", "deep/b.py")
    first = source(tmp_path)
    (tmp_path / "note.txt").write_text("no code")
    assert source(tmp_path) == first
    (tmp_path / "deep" / "b.py").write_text("after")
    assert source(tmp_path) != first


@pytest.mark.parametrize(("file", "dirty"), [("docs/results.csv", False), ("package/a.py", True)])
def test_only_code_makes_a_checkout_dirty(tmp_path, file, dirty):
    place = tmp_path / file
    made(tmp_path, file)
    assert not is_dirty(place.parent)
    place.write_text("after")
    assert is_dirty(place.parent) is dirty
    (tmp_path / "docs" / "new.gz").parent.mkdir(exist_ok=True)
    (tmp_path / "docs" / "new.gz").write_text("untracked")
    assert is_dirty(place.parent) is dirty
