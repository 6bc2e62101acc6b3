# PYTHON_ARGCOMPLETE_OK
"""Train, test and record a classifier: ``python experiments/run.py --model efficientnet``."""

from gtzan_lightning.commands.run import main
from gtzan_lightning.recipe.command_line import guarded

if __name__ == "__main__":
    guarded(main)
