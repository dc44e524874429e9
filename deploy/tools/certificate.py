"""A certificate for this machine's own names, to try TLS and HTTP/2 with: `just cert`.

It is signed by an authority made for the occasion, whose key is thrown away. Never for production.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import trustme


def main(directory: Path) -> int:
    """Writes cert.pem, key.pem (for our eyes only) and authority.pem, and says how to use them."""
    directory.mkdir(parents=True, exist_ok=True)
    authority = trustme.CA(organization_name="Headgate, for trying out")
    made = authority.issue_cert("localhost", "127.0.0.1", "::1")
    chain = b"".join(blob.bytes() for blob in made.cert_chain_pems)
    _write(directory / "cert.pem", chain, 0o644)
    _write(directory / "key.pem", made.private_key_pem.bytes(), 0o600)
    _write(directory / "authority.pem", authority.cert_pem.bytes(), 0o644)
    print(f"Made {directory}/cert.pem and key.pem for localhost, 127.0.0.1 and ::1.")
    print("Serve with them: just run --set server.tls.bind='[\"127.0.0.1:8443\"]'", end=" ")
    print(f"--set server.tls.certificate={directory}/cert.pem", end=" ")
    print(f"--set server.tls.key={directory}/key.pem")
    print(f"Ask it: curl --cacert {directory}/authority.pem https://localhost:8443/")
    return 0


def _write(path: Path, content: bytes, mode: int) -> None:
    """Never half-written, and never readable by more than `mode` says, not even for a moment."""
    temporary = path.with_name(f".{path.name}.new")
    temporary.unlink(missing_ok=True)
    with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
