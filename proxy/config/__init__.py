"""Configuration: typed settings, and how they are read from files, environment and command line.

Only `proxy.cli` and `proxy.assembly` read this package; every other room is handed plain values.
"""

from proxy.config.handover import dump_for_worker, load_from_supervisor, made_for_worker
from proxy.config.loading import Loaded, load
from proxy.config.settings import Settings
from proxy.config.sources import Source

__all__ = [
    "Loaded",
    "Settings",
    "Source",
    "dump_for_worker",
    "load",
    "load_from_supervisor",
    "made_for_worker",
]
