"""What every group of settings is made of."""

from typing import Annotated, ClassVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

Probability = Annotated[float, Field(ge=0, le=1)]
Share = Annotated[float, Field(ge=0, lt=1)]  # such as dropout, which may not drop everything
Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]
Names = Annotated[tuple[str, ...], BeforeValidator(lambda names: names or ())]  # none is no names
Shape = tuple[int, int, int]  # channels, bins, frames of a picture


class Section(BaseModel):
    """A frozen group of settings that rejects names it does not know."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        use_attribute_docstrings=True,
        validate_default=True,
        coerce_numbers_to_str=True,  # `devices: 2` in a recipe is the text "2"
    )


class ModelSettings(Section):
    """What every model says of itself."""

    source: ClassVar[str]
    """where it comes from"""
    input: ClassVar[Shape] = (1, 128, 130)
    """the picture that the source fed it"""
