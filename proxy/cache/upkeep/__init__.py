"""Keeping the directory within its limits, and going through all of it."""
