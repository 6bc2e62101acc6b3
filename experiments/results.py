# PYTHON_ARGCOMPLETE_OK
"""What was measured, and the tables made of it: ``python experiments/results.py tables``."""

from gtzan_lightning.commands.results import main
from gtzan_lightning.recipe.command_line import guarded

if __name__ == "__main__":
    guarded(main)
