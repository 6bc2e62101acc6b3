# PYTHON_ARGCOMPLETE_OK
"""Tables of the recorded runs: ``python experiments/compare.py``."""

from gtzan_lightning.commands.compare import main
from gtzan_lightning.recipe.command_line import guarded

if __name__ == "__main__":
    guarded(main)
