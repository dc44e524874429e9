"""The certificate for trying out: a client that knows its authority takes it."""

from __future__ import annotations

import ssl
from pathlib import Path

from deploy.tools import certificate


def test_the_pair_belongs_together_and_the_key_is_private(tmp_path: Path) -> None:
    for _ in range(2):  # the second time over the first
        assert certificate.main(tmp_path / "new") == 0
    made = tmp_path / "new"
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(made / "cert.pem", made / "key.pem")
    assert (made / "key.pem").stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in made.iterdir()) == ["authority.pem", "cert.pem", "key.pem"]

    client = ssl.create_default_context(cafile=made / "authority.pem")
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    here = client.wrap_bio(to_client, to_server, server_hostname="localhost")
    there = server.wrap_bio(to_server, to_client, server_side=True)
    unfinished = [here, there]
    for _ in range(10):
        for side in list(unfinished):
            try:
                side.do_handshake()
                unfinished.remove(side)
            except ssl.SSLWantReadError:
                continue
    assert unfinished == []
