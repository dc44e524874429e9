"""Settings from the supervisor to a worker, over a socket pair and never by a file.

The bytes hold secrets in clear. All paths in them are absolute and all files have been read and
checked, so the worker does no more than take them.
"""

from __future__ import annotations

from proxy.config.fields import IN_CLEAR
from proxy.config.settings import Settings


def dump_for_worker(settings: Settings) -> bytes:
    """JSON with every value, secrets in clear. The caller lets it touch no disk and no log."""
    return settings.model_dump_json(context={IN_CLEAR: True}).encode()


def load_from_supervisor(received: bytes) -> Settings:
    """The settings that `dump_for_worker` was given."""
    return Settings.model_validate_json(received)
