# PYTHON_ARGCOMPLETE_OK
"""The systems of the source documents beside our runs: ``python experiments/reproduce.py``."""

from functools import partial
from pathlib import Path

from gtzan_lightning.commands import reproduce
from gtzan_lightning.recipe.command_line import guarded

RECIPES = Path(__file__).parent / "recipes" / "reproductions"
main = partial(reproduce.main, recipes=RECIPES)

if __name__ == "__main__":
    guarded(main)
