"""A toy server with HTTP/3, for the tests of one module."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import trustme

from tests.server import rig


@dataclass(frozen=True)
class Doors:
    """Ports of one server: in clear, and with TLS over TCP and UDP."""

    clear: int
    tls: int


def certificate(directory: Path) -> list[str]:
    """Writes a certificate for localhost: its path and its key's."""
    made = trustme.CA().issue_cert("localhost", "127.0.0.1")
    paths = directory / "one.crt", directory / "one.key"
    made.private_key_pem.write_to_path(paths[1])
    for number, blob in enumerate(made.cert_chain_pems):
        blob.write_to_path(paths[0], append=number > 0)
    return [str(one) for one in paths]


def plan(directory: Path) -> dict[str, object]:
    """What a toy server with HTTP/3 is started with."""
    return {"tls": ["127.0.0.1:0", *certificate(directory)], "http3": True}


@pytest.fixture(scope="module")
def doors(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Doors]:
    directory = tmp_path_factory.mktemp("toy")
    with rig.served_all(directory, **plan(directory)) as said:
        clear, tls = (int(said[one][0].rpartition(":")[2]) for one in ("clear", "tls"))
        yield Doors(clear, tls)
