# PYTHON_ARGCOMPLETE_OK
"""The models and their sizes: ``python experiments/models.py``."""

from gtzan_lightning.commands.models import main
from gtzan_lightning.recipe.command_line import guarded

if __name__ == "__main__":
    guarded(main)
