"""Strategies of hostile files: a valid one, of which a part is replaced, lost, doubled or cut."""

import copy
from typing import Any

from hypothesis import strategies as st

DEEP: Any = 0
for _ in range(30):
    DEEP = [DEEP]
SCALARS = [
    None, True, -1, 0, 0.5, 3, 10**9, 2**63, 10**400, -(10**400), 1e308, 1e-320, float("inf"),
    float("nan"), "", "a", "none", "nan", "x" * 20_000, "1e999", "9" * 5000, "a\nb", "\u2028",
    "\u202e", "\x1b[31m", "\ud800", "../../../etc/passwd", "=cmd|' /C calc'!A0", "²", "\uff11",
]  # fmt: skip
VALUES = [*SCALARS, [], {}, [None], {"a": 1}, [1] * 3000, DEEP, {"a": DEEP}]
CELLS = ["" if s is None else str(s) for s in SCALARS]
SNIPPETS = [
    b"", b"\x00", b"\xff\xfe", b"\xef\xbb\xbf", b"\r", b"\n", b",", b'"', b"&a [*a, *a]", b"*a",
    b"!!python/object/apply:os.system [ls]", b"[" * 3000, b"{a: " * 500, b"? ", b": ", b"<<: ",
    b"- ", b"2024-99-99", b"0x_", b"\xe2\x80\xa8", b"%YAML 9.9\n---\n", b"'", b"\t", b"9" * 5000,
]  # fmt: skip


@st.composite
def broken_bytes(draw: Any, content: bytes) -> bytes:
    """Truncated, with bits flipped, or with something in between."""
    at = draw(st.integers(0, len(content) - 1))
    kind = draw(st.sampled_from(["cut", "flip", "insert", "double"]))
    if kind == "cut":
        return content[:at]
    if kind == "flip":
        flipped = bytearray(content)
        for _ in range(draw(st.integers(1, 8))):
            flipped[draw(st.integers(0, len(content) - 1))] ^= 1 << draw(st.integers(0, 7))
        return bytes(flipped)
    if kind == "insert":
        return content[:at] + draw(st.sampled_from(SNIPPETS)) + content[at:]
    return content[:at] + content[at // 2 :]


@st.composite
def broken_values(draw: Any, content: dict[str, Any]) -> dict[str, Any]:
    """Nested plain values, of which one or two are replaced, lost, or new."""
    content = copy.deepcopy(content)
    for _ in range(draw(st.integers(1, 2))):
        places = list(_places(content))
        if not places:
            break
        holder, key = draw(st.sampled_from(places))
        kind = draw(st.sampled_from(["replace", "replace", "lose", "new"]))
        if kind == "lose":
            del holder[key]
        elif kind == "new" and isinstance(holder, dict):
            holder[draw(st.sampled_from(["a", "", 1, None, "x" * 20_000, "name"]))] = 1
        else:
            holder[key] = copy.deepcopy(draw(st.sampled_from(VALUES)))
    return content


@st.composite
def broken_table(draw: Any, rows: list[list[str]]) -> list[list[str]]:
    """A table with its header, of which a cell, row or column is replaced, lost or doubled."""
    rows = copy.deepcopy(rows)
    for _ in range(draw(st.integers(1, 3))):
        row = draw(st.integers(0, len(rows) - 1))
        cell = draw(st.integers(0, max(0, len(rows[row]) - 1)))
        kind = draw(st.sampled_from(["replace", "replace", "replace", "lose", "column", "double"]))
        if kind == "replace" and rows[row]:
            rows[row][cell] = draw(st.sampled_from(CELLS))
        elif kind == "lose" and rows[row]:
            del rows[row][cell]
        elif kind == "column":
            for of_row in rows:
                del of_row[cell : cell + 1]
        else:
            rows.append(list(rows[row]))
    return rows


def _places(content: Any) -> Any:
    """Every holder and key of a value in it."""
    keys = content if isinstance(content, dict) else range(len(content))
    for key in list(keys):
        yield content, key
        if isinstance(content[key], dict | list):
            yield from _places(content[key])
