# PYTHON_ARGCOMPLETE_OK
"""Tune a model: ``python experiments/sweep.py --model vgg --space FILE --trials 50``."""

from gtzan_lightning.commands.sweep import main
from gtzan_lightning.recipe.command_line import guarded

if __name__ == "__main__":
    guarded(main)
