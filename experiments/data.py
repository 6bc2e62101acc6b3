# PYTHON_ARGCOMPLETE_OK
"""Fetch GTZAN, or verify the copy that is there: ``python experiments/data.py``."""

from gtzan_lightning.commands.data import main
from gtzan_lightning.recipe.command_line import guarded

if __name__ == "__main__":
    guarded(main)
