"""Headgate: an edge streaming proxy in front of object storage."""

__version__ = "0.1.0"
