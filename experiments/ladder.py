# PYTHON_ARGCOMPLETE_OK
"""What each shortcut is worth: ``python experiments/ladder.py --model small_cnn``."""

from gtzan_lightning.commands.ladder import main
from gtzan_lightning.recipe.command_line import guarded

if __name__ == "__main__":
    guarded(main)
