"""Files of others: read within limits, and refused in one line that says where.

A file may be of any size, a pipe that never ends, or text that expands: what is parsed is bounded
before it is parsed.
"""

import csv
import gzip
import io
import stat
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from yaml.events import AliasEvent, NodeEvent
from yaml.nodes import MappingNode, Node

from gtzan_lightning.errors import UserError, in_a_line

RECIPE_BYTES = 200_000  # the largest of the package has 20,000
TABLE_BYTES = 500_000_000
DEPTH = 8  # of nested lists and sections
PARTS = 20_000  # lists, sections and values of a file
WORD = 10_000  # characters of a text


def bytes_of(file: Path, what: str, most: int) -> bytes:
    """The content of a regular file, unpacked if its name ends in ``.gz``.

    Args:
        what: what the file is, for messages; "" of a file whose name says enough.
        most: bytes that it may have.

    Raises:
        UserError: it is not there, not a file, or larger.
    """
    where = f"{what} {file}".strip()
    try:
        about = file.stat()
        if not stat.S_ISREG(about.st_mode):  # a pipe may never end
            kind = "a folder" if stat.S_ISDIR(about.st_mode) else "no regular file"
            raise UserError(f"{where} can't be read: it is {kind}")
        with file.open("rb") as raw, gzip.open(raw) if file.suffix == ".gz" else raw as source:
            content = source.read(most + 1)
    except (OSError, ValueError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"{where} can't be read: {reason}") from None
    if len(content) > most:
        raise UserError(f"{where} has more than {most:,} bytes: it is too large to be one")
    return content


def text_of(file: Path, what: str, most: int = RECIPE_BYTES) -> str:
    """A text file; as ``bytes_of`` takes and raises.

    Raises:
        UserError: it is not UTF-8, or binary.
    """
    where, content = f"{what} {file}".strip(), bytes_of(file, what, most)
    try:
        text = content.decode("utf-8-sig")  # spreadsheets begin a file with a byte order mark
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UserError(f"{where}, line {line}: it is no UTF-8 text: save it as such") from None
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise UserError(f"{where}, line {line}: a zero byte, which no text has")
    return text


def yaml_of(file: Path, what: str) -> Any:
    """Plain values of a YAML file: no tags, no aliases, no key twice, within the limits above.

    Raises:
        UserError: it can't be read or is no such file.
    """
    text, where = text_of(file, what), f"{what} {file}".strip()
    try:
        content = yaml.load(text, _Plain)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f", line {mark.line + 1}" if mark else ""
        said = in_a_line(error.problem or error.context)
        raise UserError(f"{where}{line} is no plain YAML: {said}") from None
    # such as a day 99, a number of 5,000 digits, or a character that YAML has not
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError) as error:
        raise UserError(f"{where} is no plain YAML: {in_a_line(error)}") from None
    check_plain(content, where)
    return content


class _Plain(yaml.SafeLoader):
    """The safe loader, without what lets a small file become a large one, or hide a key."""

    depth = 0

    def compose_node(self, parent: Node | None, index: Any) -> Node | None:
        event = self.peek_event()
        tag = getattr(event, "tag", None)
        if isinstance(event, AliasEvent) or (isinstance(event, NodeEvent) and event.anchor):
            self._refuse("anchors and aliases are not read: write it out")
        if tag is not None:
            self._refuse(f"tags such as {tag} are not read: leave it out")
        self.depth += 1
        if self.depth > DEPTH:
            self._refuse(f"nested more than {DEPTH} deep")
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def construct_mapping(self, node: MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key, _ in node.value:
            is_word = isinstance(key.value, str)
            if not is_word or key.value in seen:
                problem = f"{key.value!r} is given twice" if is_word else "a name must be a word"
                raise yaml.MarkedYAMLError(problem=problem, problem_mark=key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)

    def _refuse(self, why: str) -> None:
        raise yaml.MarkedYAMLError(problem=why, problem_mark=self.peek_event().start_mark)


def check_plain(content: object, where: str) -> None:
    """Whether content is plain: dicts, lists, texts and numbers, within the limits above.

    What shares its parts, as pickled values may, is counted as often as it is reached.

    Raises:
        UserError: it is not; says where.
    """
    waiting: list[tuple[object, str, int]] = [(content, "", 0)]
    for count in range(PARTS + 1):
        if not waiting:
            return
        value, place, depth = waiting.pop()
        if count == PARTS or len(waiting) > PARTS:
            raise UserError(f"{where} has more than {PARTS:,} values: it is too large to be one")
        why = _wrong(value, depth)
        if why:
            raise UserError(f"{where}: {place or 'it'} {why}")
        waiting += _inside(value, place, depth + 1)


def _inside(value: object, place: str, depth: int) -> Iterator[tuple[object, str, int]]:
    if isinstance(value, dict):
        for key, part in value.items():
            yield key, place, depth
            yield part, f"{place}.{key}".lstrip(".")[:100], depth
    elif isinstance(value, list | tuple):
        for part in value[: PARTS + 1]:
            yield part, place, depth


def _wrong(value: object, depth: int) -> str:
    """Why a value is not plain; empty for one that is."""
    if value is None or isinstance(value, bool):
        return ""
    if isinstance(value, int | float):
        return "" if abs(value) < 2**63 else "is no number in range"  # nor is a NaN
    if isinstance(value, str):
        return "" if len(value) <= WORD else f"has more than {WORD:,} characters"
    if type(value) not in (dict, list, tuple):
        return f"must be text, numbers or lists of them, not {type(value).__name__}"
    return "" if depth <= DEPTH else f"is nested more than {DEPTH} deep"


def csv_of(file: Path, what: str = "", most: int = TABLE_BYTES) -> list[dict[str, str]]:
    """The rows of a CSV file with a header, each with a text for each column.

    Raises:
        UserError: it can't be read, names a column twice, or a row has other columns; says which.
    """
    where = f"{what} {file}".strip()
    reader = csv.reader(io.StringIO(text_of(file, what, most), newline=""))
    rows: list[dict[str, str]] = []
    try:
        header = next(reader, [])
        if len(set(header)) < len(header):
            twice = next(name for name in header if header.count(name) > 1)
            raise UserError(f"{where}: the header has {twice!r} twice")
        for cells in reader:
            if not cells:  # an empty line
                continue
            if len(cells) != len(header):
                raise UserError(
                    f"{where}, line {reader.line_num}: {len(cells)} cells, but {len(header)} "
                    "columns in the header"
                )
            rows.append(dict(zip(header, cells, strict=True)))
    except csv.Error as error:
        raise UserError(f"{where}, line {reader.line_num} is no CSV: {error}") from None
    return rows
