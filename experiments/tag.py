# PYTHON_ARGCOMPLETE_OK
"""Genres of many files: ``python experiments/tag.py FOLDER --run RUN --out genres.csv``."""

from gtzan_lightning.commands.tag import main
from gtzan_lightning.recipe.command_line import guarded

if __name__ == "__main__":
    guarded(main)
