# PYTHON_ARGCOMPLETE_OK
"""Songs that most recorded runs get wrong: ``python experiments/runs.py``."""

from gtzan_lightning.commands.runs import main
from gtzan_lightning.recipe.command_line import guarded

if __name__ == "__main__":
    guarded(main)
