"""The commands: ``gtzan NAME`` and ``python experiments/NAME.py`` call the same function."""
