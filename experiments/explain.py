# PYTHON_ARGCOMPLETE_OK
"""What a model looked at: ``python experiments/explain.py --run RUN --song FILE_OR_ID``."""

from gtzan_lightning.commands.explain import main
from gtzan_lightning.recipe.command_line import guarded

if __name__ == "__main__":
    guarded(main)
