"""``python -m gtzan_lightning run``: the command line of experiments/run.py."""

import sys

from gtzan_lightning.recipe.command_line import guarded

if sys.argv[1:2] == ["run"]:
    from experiments.run import main

    del sys.argv[1]
    guarded(main)
