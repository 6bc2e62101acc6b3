"""Several runs of one recipe: which seeds and folds they have."""

from collections.abc import Sequence
from dataclasses import dataclass

from gtzan_lightning.errors import UserError
from gtzan_lightning.recipe.protocol_names import OF_FOLDS
from gtzan_lightning.recipe.recipes import Recipe, with_settings


@dataclass(frozen=True)
class Series:
    """The runs that flags ask for.

    Attributes:
        resume: the id of a run, whose own recipe ``recipe`` is; or LAST.
        seeds, folds: of the runs; None stands for the recipe's own.
        workers: processes that make them.
    """

    recipe: Recipe
    resume: str | None
    seeds: Sequence[int] | None
    folds: Sequence[int] | None
    workers: int

    @property
    def recipes(self) -> list[Recipe]:
        """One for each seed and fold."""
        return variants(self.recipe, self.seeds, self.folds)


def variants(
    recipe: Recipe, seeds: Sequence[int] | None, folds: Sequence[int] | None
) -> list[Recipe]:
    """A recipe for each seed and fold; None stands for the recipe's own.

    Raises:
        UserError: a seed or fold that can't be.
    """
    each = [
        with_settings(recipe, {"seed": seed, "data.fold": fold})
        for seed in ([recipe.seed] if seeds is None else seeds)
        for fold in ([recipe.data.fold] if folds is None else folds)
    ]
    return each if len(each) == 1 or not recipe.track.name else list(map(_told_apart, each))


def _told_apart(recipe: Recipe) -> Recipe:
    """One name was asked for, of several runs."""
    fold = f"-fold{recipe.data.fold}" * recipe.data.has_folds
    name = f"{recipe.track.name}-seed{recipe.seed}{fold}"
    return with_settings(recipe, {"track.name": name})


def folds_of(words: list[str] | None, recipe: Recipe) -> tuple[int, ...] | None:
    """The folds that ``--folds`` names."""
    if words is None:
        return None
    if not recipe.data.has_folds:
        raise UserError(
            f"--folds: data.split {recipe.data.split} has no folds; take {', '.join(OF_FOLDS)}"
        )
    if words == ["all"]:
        return tuple(range(recipe.data.folds))
    if not all(word.isdigit() for word in words):
        raise UserError(f"--folds {' '.join(words)}: give all, or numbers such as 0 1 2")
    return tuple(map(int, words))
