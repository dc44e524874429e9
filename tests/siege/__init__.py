"""How the whole program holds under abuse: `python -m tests.siege NAME`. See `__main__.py`."""
