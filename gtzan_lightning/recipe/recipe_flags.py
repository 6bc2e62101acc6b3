"""The flags of a recipe: each setting with its type, its bounds and its sentence."""

import argparse
from typing import Any, Literal, get_args, get_origin

from pydantic.fields import FieldInfo

from gtzan_lightning.recipe import recipes
from gtzan_lightning.recipe.model_settings import MODEL_SETTINGS
from gtzan_lightning.recipe.recipes import Recipe, doc
from gtzan_lightning.recipe.section import Section, joined


def add_recipe(parser: argparse.ArgumentParser, command: str, before: Recipe | None) -> None:
    """Add the flags of a recipe.

    Args:
        command: ``run`` takes those of several runs too.
        before: the values without flags, for the help; None without a model.
    """
    parser.add_argument("--model", metavar="NAME", help=f"one of: {', '.join(MODEL_SETTINGS)}")
    parser.add_argument(
        "--config", action="append", metavar="FILE", help="recipe over the model's own (YAML)"
    )
    parser.add_argument(
        "--resume",
        metavar="RUN",
        help="resume an interrupted run: its id or the beginning of it, its name, best, or last, "
        "the newest one; with --model, last is the newest of the same recipe, or a new run, so "
        "that a cluster can repeat the command unchanged",
    )
    parser.add_argument(
        "--open-test", action="store_const", const="true", default=argparse.SUPPRESS,
        dest="fit.open_test",
        help="measure on the test part too: at the end, or with --resume RUN_ID in a complete run; "
        "the opening is recorded and counted in the tables",
    )  # fmt: skip
    if command == "run":
        add_series(parser)
    parser.add_argument(
        "--quick", action="store_true",
        help="a trial of minutes: 240 steps at most, without augmentation, under the other flags; "
        "every table marks its scores as QUICK",
    )  # fmt: skip
    parser.add_argument("--print_config", action="store_true", help="print the recipe and stop")
    parser.add_argument("--list", choices=["models", "splits"], help="print the names and stop")
    _add_settings(parser, before)


def _add_settings(parser: argparse.ArgumentParser, before: Recipe | None) -> None:
    seed = Recipe.model_fields["seed"]
    add_setting(parser, "--seed", seed, before.seed if before else seed.default)
    settings: dict[str, Section] = {"model": before.model} if before else {}
    settings |= {key: getattr(before, key, None) or cls() for key, cls in recipes.SECTIONS.items()}
    for key, section in settings.items():
        group = parser.add_argument_group(f"--{key}.*", doc(type(section)))
        for name, field in type(section).model_fields.items():
            if (key, name) != ("model", "name"):
                add_setting(group, f"--{key}.{name}", field, getattr(section, name))
    if not before:
        parser.add_argument_group("--model.*", "add --model NAME to see the model's flags")


def add_series(parser: argparse.ArgumentParser) -> None:
    """The flags of several runs of one recipe."""
    parser.add_argument(
        "--seeds", type=int, nargs="+", metavar="N",
        help="a run for each seed, and one row of them all; finished runs are kept, interrupted "
        "ones resumed; tasks of a SLURM array share them",
    )  # fmt: skip
    parser.add_argument(
        "--folds", nargs="+", metavar="K",
        help="a run for each fold (and seed) of a protocol with folds: all, or numbers",
    )  # fmt: skip
    parser.add_argument(
        "--workers", type=int, default=1, metavar="N",
        help="with --seeds or --folds: so many runs at once, each on a GPU of its own (1)",
    )  # fmt: skip


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
