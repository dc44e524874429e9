"""Asks a running Headgate whether it lives: `python -m proxy.production.health [HOST:PORT]`.

The health check of the container, which has no shell and no curl. It runs every few seconds, so it
imports the standard library only and reads no configuration: the address is the argument, or else
HEADGATE_ADMIN__BIND, or else the default of `admin.bind`.
"""

from __future__ import annotations

import http.client
import os
import sys
from collections.abc import Sequence
from typing import Final

DEFAULT_BIND: Final = "127.0.0.1:9090"
# Seconds. Under the container's own limit of three, so that it is us who say what is wrong.
_TIMEOUT: Final = 2.0
# Listening on every address means that the loopback one will do.
_LOOPBACK: Final = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  # compared


def main(arguments: Sequence[str]) -> int:
    """0 when /healthz answers 200; 1, with one line on standard error, when it does not."""
    bind = arguments[0] if arguments else os.environ.get("HEADGATE_ADMIN__BIND", DEFAULT_BIND)
    try:
        status = ask(bind)
    except (OSError, ValueError, http.client.HTTPException) as error:
        sys.stderr.write(f"{bind}: {error}\n")
        return 1
    if status != http.client.OK:
        sys.stderr.write(f"{bind}: /healthz answered {status}\n")
        return 1
    return 0


def ask(bind: str) -> int:
    """The status of /healthz at an address as in `admin.bind`. Raises OSError and ValueError."""
    host, _, port = bind.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    connection = http.client.HTTPConnection(_LOOPBACK.get(host, host), int(port), timeout=_TIMEOUT)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
