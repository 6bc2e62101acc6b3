import subprocess

import pytest

from gtzan_lightning.tracking.environment import is_dirty


@pytest.mark.parametrize(("file", "dirty"), [("docs/results.csv", False), ("package/a.py", True)])
def test_only_code_makes_a_checkout_dirty(tmp_path, file, dirty):
    place = tmp_path / file
    place.parent.mkdir()
    place.write_text("before")
    as_us = ("-c", "user.name=us", "-c", "user.email=us@example.org")
    for words in (["init"], ["add", "."], [*as_us, "commit", "-m", "all"]):
        subprocess.run(["git", *words], cwd=tmp_path, check=True, capture_output=True)
    assert not is_dirty(place.parent)
    place.write_text("after")
    assert is_dirty(place.parent) is dirty
    (tmp_path / "docs" / "new.gz").parent.mkdir(exist_ok=True)
    (tmp_path / "docs" / "new.gz").write_text("untracked")
    assert is_dirty(place.parent) is dirty
