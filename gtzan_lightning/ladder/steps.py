"""The rungs of a ladder: one recipe under each protocol, with equal numbers of training songs."""

from collections.abc import Sequence
from dataclasses import dataclass

from gtzan_lightning.errors import UserError
from gtzan_lightning.recipe.protocol_names import OF_FOLDS
from gtzan_lightning.recipe.recipes import Recipe, with_settings
from gtzan_lightning.recipe.series import variants
from gtzan_lightning.training.series import Member, members

# from the leakiest to the cleanest
RUNGS = ("clips", "stratified", "first20", "artist_groups", "artist", "filtered")
CONTROLS = ("shuffled_genres", "training_songs")


@dataclass(frozen=True)
class Rung:
    """A protocol, or a control of one, and its runs.

    Attributes:
        name: of the protocol or of the control.
        part: that is measured: test where it is open and has songs here, else valid.
        members: its runs, of all seeds and folds.
    """

    name: str
    part: str
    members: list[Member]

    @property
    def train_songs(self) -> int:
        """How many songs are trained on; of folds the fewest."""
        return min(len(member.data.split.songs("train")) for member in self.members)


@dataclass(frozen=True)
class Request:
    """What a ladder is made of.

    Attributes:
        names: of the rungs, some of ``RUNGS``.
        seeds, folds: of the runs; None stands for the recipe's own. Only some rungs have folds.
        equal: train each rung on so many songs; 0: on as many as the rung that has fewest;
            None: on all that it has.
        with_controls: chance and memory, under the cleanest of the rungs.
    """

    names: Sequence[str]
    seeds: Sequence[int] | None
    folds: Sequence[int] | None
    equal: int | None
    with_controls: bool


def rungs(recipe: Recipe, request: Request) -> list[Rung]:
    """The rungs of a recipe, from the leakiest to the cleanest, then the controls.

    Raises:
        UserError: a protocol that these songs can't have, or more training songs than there are.
    """
    names = [name for name in RUNGS if name in request.names]
    wanted: dict[str, dict[str, object]] = {name: {"data.split": name} for name in names}
    if request.with_controls:
        wanted |= {name: {"data.split": names[-1], "data.control": name} for name in CONTROLS}
    made = [_rung(name, recipe, over, request) for name, over in wanted.items()]
    if request.equal is None:
        return made
    fewest = min(rung.train_songs for rung in made)
    number = request.equal or fewest
    if number > fewest:
        raise UserError(f"--equal {number}: a rung has no more than {fewest} training songs")
    equal: dict[str, object] = {"data.train_songs": number}
    return [_rung(name, recipe, over | equal, request) for name, over in wanted.items()]


def _rung(name: str, recipe: Recipe, over: dict[str, object], request: Request) -> Rung:
    own = with_settings(recipe, over)
    folds = request.folds if own.data.split in OF_FOLDS else None
    series = members(variants(own, request.seeds, folds))
    measured = set.intersection(*(set(member.data.measured_parts) for member in series))
    return Rung(name, "test" if "test" in measured else "valid", series)
