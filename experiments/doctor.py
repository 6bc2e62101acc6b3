# PYTHON_ARGCOMPLETE_OK
"""What this machine has and lacks: ``python experiments/doctor.py``."""

from gtzan_lightning.commands.doctor import main
from gtzan_lightning.recipe.command_line import guarded

if __name__ == "__main__":
    guarded(main)
