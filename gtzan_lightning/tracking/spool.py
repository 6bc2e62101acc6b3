"""Records on disk first: a training never waits for the place that they are sent to.

Each record is a line of ``records.jsonl`` in the run's folder. A thread sends what is there and
notes how far it came, so that a place that is slow, away or back again gets everything, in order,
and a killed run's records are sent when it is resumed. A record may be sent twice: sending must be
idempotent. A damaged one is left out, and said to be.
"""

import contextlib
import itertools
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal, TypedDict

from gtzan_lightning.errors import UserError
from gtzan_lightning.files import replacing
from gtzan_lightning.records import RecordFile, records_of

AT_ONCE = 200  # records
LONGEST_WAIT = 15.0  # seconds between two tries


class Metrics(TypedDict):
    kind: Literal["metrics"]
    metrics: dict[str, float]
    step: int
    time: int  # milliseconds since 1970


class Params(TypedDict):
    kind: Literal["params"]
    params: dict[str, str]


class Tags(TypedDict):
    kind: Literal["tags"]
    tags: dict[str, str]


class File(TypedDict):
    kind: Literal["file"]
    file: str  # its path in the run's folder, here and below
    folder: str | None  # of the run's artifacts


class Songs(TypedDict):
    kind: Literal["songs"]
    file: str
    name: str
    digest: str


class Pyfunc(TypedDict):
    kind: Literal["pyfunc"]
    file: str
    code: str  # and the others: see LoggedModel
    genres: list[str]
    sample_rate: int
    time: int


class Registration(TypedDict):
    kind: Literal["registration"]
    name: str  # of a registered model, which gets a version: the run's logged model


class Opening(TypedDict):
    kind: Literal["opening"]
    what: dict[str, str]  # model, recipe, songs ... of an opened test part
    time: int


Record = Metrics | Params | Tags | File | Songs | Pyfunc | Registration | Opening


class Spool:
    """The records of one run.

    Args:
        folder: of the run; it exists.
        send: sends records, in order; raises whatever it likes if it can't.
        is_hopeless: whether trying again could not help after this error.
    """

    def __init__(
        self,
        folder: Path,
        send: Callable[[list[Record]], None],
        is_hopeless: Callable[[Exception], bool],
    ) -> None:
        self.file, self.sent_file = folder / "records.jsonl", folder / "records.sent"
        self.send, self.is_hopeless = send, is_hopeless
        self.error: Exception | None = None
        self._records = RecordFile(self.file)
        self._sent = self._noted()
        self._change = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="records", daemon=True)
        self._thread.start()

    def _noted(self) -> int:
        """Bytes that were sent; none where the note does not fit the records: all go again."""
        try:
            sent = int(self.sent_file.read_text())
        except (OSError, ValueError):
            return 0
        return sent if 0 <= sent <= self._records.size else 0

    def add(self, record: Record) -> None:
        """Keep a record; it is sent soon.

        Raises:
            UserError: the run's folder has vanished.
            OSError: the disk is full.
        """
        self._check_there()
        with self._change:
            self._records.add(record)
            self._change.notify_all()

    def records(self) -> list[Record]:
        """All of them, those of earlier starts of the run included."""
        with self.file.open("rb") as lines:
            return list(records_of(lines))

    def drain(self, patience: float, waiting: Callable[[], None]) -> None:
        """Wait until everything is sent.

        Args:
            patience: seconds.
            waiting: called once if it takes longer than a few.

        Raises:
            UserError: the run's folder has vanished.
            Exception: the last error of sending, where that is hopeless or patience is at its end.
        """
        self._check_there()
        start, has_called = time.monotonic(), False
        with self._change:
            while self._sent < self._records.size:
                if self.error is not None and self.is_hopeless(self.error):
                    raise self.error
                seconds = time.monotonic() - start
                if seconds > patience:
                    raise self.error or TimeoutError(f"no answer within {patience:g} s")
                if seconds > 5 and not has_called:
                    has_called = True
                    waiting()
                self._change.notify_all()  # do not sleep a long wait between two tries to its end
                self._change.wait(1)

    def close(self) -> None:
        """Stop sending; what is not sent stays."""
        with self._change:
            self._closed = True
            self._change.notify_all()
        self._thread.join(timeout=30)
        self._records.close()

    def _check_there(self) -> None:
        if not self.file.exists():  # an open file outlives its name: writing alone would not tell
            raise UserError(
                f"{self.file} has vanished in mid-run, with its folder or disk: bring it back and "
                "resume the run, or start a new one"
            )

    def _run(self) -> None:
        wait = 0.0
        while True:
            with self._change:
                if not self._closed and (wait or self._sent >= self._records.size):
                    self._change.wait(wait or None)
                if self._closed:
                    return
            try:
                lines = self._next()
                records = list(records_of(lines))
                self.send(records)
            except Exception as error:  # of whatever kind the place's client has
                self.error = error
                wait = min(max(1.0, 2 * wait), LONGEST_WAIT)
                continue
            if damaged := len(lines) - len(records):
                print(f"{self.file}: damaged records left out: {damaged}", file=sys.stderr)
            self.error, wait = None, 0.0
            sent = self._sent + sum(map(len, lines))
            with contextlib.suppress(OSError), replacing(self.sent_file) as part:
                part.write_text(str(sent))  # not noted: sent again after a kill
            with self._change:
                self._sent = sent
                self._change.notify_all()

    def _next(self) -> list[bytes]:
        with self.file.open("rb") as file:
            file.seek(self._sent)
            # a line without an end is being written
            whole = itertools.takewhile(lambda line: line.endswith(b"\n"), file)
            return list(itertools.islice(whole, AT_ONCE))
