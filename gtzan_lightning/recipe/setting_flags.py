"""A setting as a flag: its type, its bounds and its sentence."""

import argparse
from typing import Any, Literal, get_args, get_origin

from pydantic.fields import FieldInfo

from gtzan_lightning.recipe.section import joined


def add_setting(
    parser: argparse._ActionsContainer, flag: str, field: FieldInfo, value: Any
) -> None:
    """Add the flag of a setting to a parser or a group of it.

    Args:
        value: that the setting has without the flag.
    """
    kinds = (field.annotation, *get_args(field.annotation))
    many = any(get_origin(kind) is tuple for kind in kinds)
    many |= any(getattr(of, "func", None) is joined for of in field.metadata)
    text = " ".join((field.description or "").split()).replace("%", "%%")
    parser.add_argument(
        flag,
        metavar=_type_name(field.annotation),
        nargs="+" if many else None,
        default=argparse.SUPPRESS,
        help=f"{text} (default: {_word(value)})",
    )


def _type_name(annotation: Any) -> str:
    if get_origin(annotation) is Literal:
        return "{" + ",".join(map(str, get_args(annotation))) + "}"
    inner = get_args(annotation)
    return _type_name(inner[0]) if inner else annotation.__name__.upper()


def _word(value: Any) -> str:
    if isinstance(value, tuple):
        return " ".join(map(str, value)) or "none"
    return str(value).lower() if value is None or isinstance(value, bool) else str(value)
