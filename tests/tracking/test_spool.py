"""Records survive a place that is slow, away, or back again, and a process that dies."""

import json
import os
import shutil
import subprocess
import sys
import time

import pytest

from gtzan_lightning.errors import UserError
from gtzan_lightning.tracking import watchdog
from gtzan_lightning.tracking.spool import Spool


class Place:
    """Somewhere records are sent to; it can be away."""

    def __init__(self):
        self.got, self.away, self.slow = [], False, 0.0

    def __call__(self, records):
        time.sleep(self.slow)
        if self.away:
            raise ConnectionError("nobody answers")
        self.got += records


def never(error):
    return False


def test_a_folder_that_vanishes_in_mid_run_is_said_at_the_next_record(tmp_path):
    place = Place()
    place.away = True
    folder = tmp_path / "run"
    folder.mkdir()
    spool = Spool(folder, place, never)
    spool.add({"n": 0})
    shutil.rmtree(folder)
    for act in (lambda: spool.add({"n": 1}), lambda: spool.drain(20.0, lambda: None)):
        start = time.monotonic()
        with pytest.raises(UserError, match="has vanished in mid-run"):
            act()
        assert time.monotonic() - start < 1
    spool.close()
    assert not folder.exists()


def test_records_arrive_in_order_and_none_waits_for_a_place_that_is_away(tmp_path):
    place = Place()
    place.away, place.slow = True, 0.5
    spool = Spool(tmp_path, place, never)
    slowest = 0.0
    for n in range(500):
        start = time.perf_counter()
        spool.add({"n": n})
        slowest = max(slowest, time.perf_counter() - start)
    assert slowest < 0.2
    with pytest.raises(ConnectionError):
        spool.drain(1.0, lambda: None)
    place.away, place.slow = False, 0.0
    spool.drain(20.0, lambda: None)
    spool.close()
    assert place.got == [{"n": n} for n in range(500)]


def test_what_a_killed_process_kept_is_sent_by_the_next(tmp_path):
    place = Place()
    place.away = True
    first = Spool(tmp_path, place, never)
    first.add({"n": 0})
    first.close()
    with (tmp_path / "records.jsonl").open("a") as torn:
        torn.write('{"n": 1')
    place.away = False
    second = Spool(tmp_path, place, never)
    second.add({"n": 2})
    second.drain(20.0, lambda: None)
    second.close()
    assert place.got == second.records() == [{"n": 0}, {"n": 2}]
    third = Spool(tmp_path, place, never)
    third.drain(5.0, lambda: None)
    third.close()
    assert len(place.got) == 2
    assert [json.loads(line)[1] for line in (tmp_path / "records.jsonl").open()] == place.got


def test_a_flipped_bit_costs_one_record_and_is_said(tmp_path, capfd):
    place = Place()
    place.away = True
    spool = Spool(tmp_path, place, never)
    for n in range(3):
        spool.add({"n": n})
    spool.close()
    file = tmp_path / "records.jsonl"
    file.write_bytes(file.read_bytes().replace(b'"n": 1', b'"n": 3'))
    place.away = False
    spool = Spool(tmp_path, place, never)
    spool.drain(10.0, lambda: None)
    spool.close()
    assert place.got == spool.records() == [{"n": 0}, {"n": 2}]
    assert "damaged records left out: 1" in capfd.readouterr().err


def test_a_refusal_for_good_ends_the_wait_at_once(tmp_path):
    place = Place()
    place.away = True
    spool = Spool(tmp_path, place, lambda error: isinstance(error, ConnectionError))
    spool.add({})
    start = time.monotonic()
    with pytest.raises(ConnectionError):
        spool.drain(60.0, lambda: None)
    assert time.monotonic() - start < 10
    spool.close()


class Full:
    """A disk that takes the first half of a line."""

    def __init__(self, sink):
        self.sink = sink

    def write(self, line):
        return self.sink.write(line[: len(line) // 2])

    def truncate(self, size):
        return self.sink.truncate(size)

    def close(self):
        self.sink.close()


def test_a_disk_that_was_full_leaves_no_half_record(tmp_path):
    place = Place()
    spool = Spool(tmp_path, place, never)
    spool.add({"n": 0})
    sink, spool._records._sink = spool._records._sink, Full(spool._records._sink)
    with pytest.raises(OSError, match="No space left"):
        spool.add({"n": 1})
    spool._records._sink = sink
    spool.add({"n": 2})
    spool.drain(10.0, lambda: None)
    spool.close()
    assert place.got == [{"n": 0}, {"n": 2}]


def test_the_switch_of_a_run_whose_folder_is_gone_leaves_it_gone(tmp_path):
    command = [sys.executable, "-P", watchdog.__file__, "a" * 32, str(tmp_path / "run" / ".lock")]
    away = {**os.environ, "MLFLOW_TRACKING_URI": "http://127.0.0.1:9"}
    subprocess.run(command, input=b"", env=away, timeout=60, check=True)
    assert not (tmp_path / "run").exists()
