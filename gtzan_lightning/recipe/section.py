"""What every group of settings is made of.

A field's default says whether the field is part of what makes two runs the same recipe: ``part``,
``place``, ``draw`` or ``file`` (see ``identity``).
"""

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

Probability = Annotated[float, Field(ge=0, le=1)]
Share = Annotated[float, Field(ge=0, lt=1)]  # such as dropout, which may not drop everything
Count = Annotated[int, Field(ge=1, le=10**6)]  # of epochs, clips, trees
Width = Annotated[int, Field(ge=1, le=2**15)]  # of a layer, in channels or units
Widths = Annotated[tuple[Width, ...], Field(max_length=32)]  # of as many layers
Layers = Annotated[int, Field(ge=1, le=32)]
Seconds = Annotated[float, Field(ge=0.01, le=3600)]
Factor = Annotated[float, Field(gt=0, le=1e6)]  # such as a learning rate or a penalty
Alpha = Annotated[float, Field(ge=1e-3, le=1e3)]  # of a Beta distribution
Seed = Annotated[int, Field(ge=0, lt=2**32)]
Names = Annotated[  # none is no names
    tuple[str, ...], Field(max_length=1000), BeforeValidator(lambda names: names or ())
]
Activation = Literal["relu", "selu", "swish"]
Shape = tuple[int, int, int]  # channels, bins, frames of a picture


def number(value: object) -> object:
    """A whole number of the command line, for a Literal of numbers."""
    return int(value) if isinstance(value, str) and value.isdigit() else value


def joined(words: object) -> object:
    """Several words of the command line as one value."""
    return " ".join(map(str, words)) if isinstance(words, list) else words


def part(default: Any) -> Any:
    """Part of the recipe: runs that differ here are of different recipes."""
    return _field(default, "part")


def place(default: Any) -> Any:
    """No part of it: where, how fast, or which of several like runs (folders, hardware, seeds)."""
    return _field(default, "place")


def draw(default: Any) -> Any:
    """Part of it where the protocol draws train, valid and test; not where they are fixed lists."""
    return _field(default, "draw")


def file(default: Any) -> Any:
    """A file: its name is part of the recipe, its folder is not."""
    return _field(default, "file")


def _field(default: Any, identity: str) -> Any:
    return Field(default, json_schema_extra={"identity": identity})


class Section(BaseModel):
    """A frozen group of settings that rejects names it does not know."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        use_attribute_docstrings=True,
        validate_default=True,
        coerce_numbers_to_str=True,  # `devices: 2` in a recipe is the text "2"
        allow_inf_nan=False,
        str_max_length=4096,  # as a path of most systems
    )


class ModelSettings(Section):
    """What every model declares."""

    source: ClassVar[str]
    """where the model comes from"""
    input: ClassVar[Shape] = (1, 128, 130)
    """the source's picture"""
    if TYPE_CHECKING:
        name: str = ""  # each model has it as a field, a Literal

    def expected(self) -> dict[str, Any]:
        """Settings of ``data.*`` that its weights need; others are refused."""
        return {}
