"""Honest music genre classification on GTZAN with PyTorch Lightning and MLflow."""

__version__ = "0.1.0"
