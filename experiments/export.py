# PYTHON_ARGCOMPLETE_OK
"""A model as one ONNX file: ``python experiments/export.py --run RUN --out genres.onnx``."""

from gtzan_lightning.commands.export import main
from gtzan_lightning.recipe.command_line import guarded

if __name__ == "__main__":
    guarded(main)
