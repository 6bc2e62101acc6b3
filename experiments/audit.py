# PYTHON_ARGCOMPLETE_OK
"""Judge songs, protocols and tables before training: ``python experiments/audit.py``."""

from gtzan_lightning.commands.audit import main
from gtzan_lightning.recipe.command_line import guarded

if __name__ == "__main__":
    guarded(main)
