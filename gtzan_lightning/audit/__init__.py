"""Judges songs, protocols and feature tables before anyone trains on them."""
