# PYTHON_ARGCOMPLETE_OK
"""What the package costs, beside what it is compared with: ``python experiments/bench.py``."""

from gtzan_lightning.commands.bench import main
from gtzan_lightning.recipe.command_line import guarded

if __name__ == "__main__":
    guarded(main)
