"""Records in a file, a line each, that outlive kills, full disks and flipped bits.

A line is ``["checksum", record]`` as JSON in ASCII. Every other letter is an escape, so no text
ends a line, not even a file's name that has line breaks or is no UTF-8.
"""

import contextlib
import errno
import json
import os
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

BLOCK = 65_536  # bytes
_BEFORE, _AFTER = len(b'["12345678", '), len(b"]\n")  # the text of a record


class RecordFile:
    """Adds records to a file; a line that a killed process did not end is cut off first.

    Attributes:
        size: bytes of the lines that are there.

    Raises:
        OSError: it can't be written, or something else than a file is in its place.
    """

    def __init__(self, file: Path) -> None:
        if os.path.lexists(file) and not file.is_file():
            raise OSError(errno.EINVAL, "something else than a file is in its place", str(file))
        self.file = file
        self._sink = file.open("ab", buffering=0)
        self.size = whole_lines(file)
        self._sink.truncate(self.size)

    def add(self, record: Any) -> None:
        """Write a record, as a whole or not at all. Raises OSError if the disk is full."""
        line = _line(json.dumps(record).encode())
        try:
            if self._sink.write(line) != len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.file))
        except OSError:
            self._sink.truncate(self.size)
            raise
        self.size += len(line)

    def close(self) -> None:
        self._sink.close()


def records_of(lines: Iterable[bytes]) -> Iterator[Any]:
    """The records of lines, less those of damaged ones."""
    for line in lines:
        text = line[_BEFORE:-_AFTER]
        if line == _line(text):
            yield json.loads(text)
        elif line.startswith(b"{"):  # of a run that began before lines had checksums
            with contextlib.suppress(ValueError):
                yield json.loads(line)


def _line(text: bytes) -> bytes:
    return b'["%08x", %b]\n' % (zlib.crc32(text), text)


def whole_lines(file: Path) -> int:
    """Bytes up to the end of the last line that has one."""
    with file.open("rb") as content:
        end = content.seek(0, os.SEEK_END)
        while end:
            start = max(0, end - BLOCK)
            content.seek(start)
            newline = content.read(end - start).rfind(b"\n")
            if newline >= 0:
                return start + newline + 1
            end = start
    return 0
