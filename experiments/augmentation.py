# PYTHON_ARGCOMPLETE_OK
"""A clip before and after every augmentation: ``python experiments/augmentation.py``."""

from gtzan_lightning.commands.augmentation import main
from gtzan_lightning.recipe.command_line import guarded

if __name__ == "__main__":
    guarded(main)
