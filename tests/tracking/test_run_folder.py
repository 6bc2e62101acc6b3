from types import SimpleNamespace

import pytest

from gtzan_lightning.tracking import run_folder


def test_minutes_of_interrupted_starts_count(tmp_path, monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(run_folder, "time", SimpleNamespace(monotonic=lambda: clock[0]))

    def interrupted():
        with run_folder.stopwatch(tmp_path, True):
            clock[0] += 60
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    clock[0] += 600  # nobody trained
    with run_folder.stopwatch(tmp_path, True) as minutes:
        clock[0] += 90
        assert minutes() == pytest.approx(2.5)
