"""Settings from the supervisor to a worker, over a socket pair and never by a file.

A line of JSON goes before them: what the supervisor has made for its workers, if anything.

The bytes hold secrets in clear. All paths in them are absolute and all files have been read and
checked, so the worker does no more than take them.
"""

from __future__ import annotations

import json
from typing import Any

from proxy.config.fields import IN_CLEAR
from proxy.config.settings import Settings


def dump_for_worker(settings: Settings, made: object = None) -> bytes:
    """JSON with every value, secrets in clear. The caller lets it touch no disk and no log.

    `made` is JSON in Python's types; see `made_for_worker`.
    """
    told = settings.model_dump_json(context={IN_CLEAR: True}).encode()
    return json.dumps(made).encode() + b"\n" + told


def load_from_supervisor(received: bytes) -> Settings:
    """The settings that `dump_for_worker` was given."""
    return Settings.model_validate_json(received.partition(b"\n")[2])


def made_for_worker(received: bytes) -> Any:  # noqa: ANN401  # whatever it was
    """What was made for the workers, as `dump_for_worker` was given it."""
    return json.loads(received.partition(b"\n")[0])
