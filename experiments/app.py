# PYTHON_ARGCOMPLETE_OK
"""A web page that recognises genres: ``python experiments/app.py --run RUN``."""

from gtzan_lightning.commands.app import main
from gtzan_lightning.recipe.command_line import guarded

if __name__ == "__main__":
    guarded(main)
