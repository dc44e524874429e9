"""Certificates and secrets on the disk: valid for long enough, and readable by their owner only."""

from __future__ import annotations

import ssl
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from proxy.production.findings import Finding, error, ok, warning

DAY: Final = 86400.0
# Days. Renewal by ACME begins at 30 and is tried daily; after three weeks it is broken.
_SOON, _VERY_SOON = 30, 7
# OpenSSL's numbers of why a certificate is refused (X509_V_ERR_…).
_NOT_YET_VALID, _EXPIRED = 9, 10


def check_certificate(certificate: Path, key: Path, now: float) -> Iterator[Finding]:
    """The certificate's time and names. `now` in seconds since 1970, as the system's clock has it.

    Files that can't be loaded are the configuration's fault and told there.
    """
    try:
        told = described(certificate, key)
    except ssl.SSLCertVerificationError as refused:
        yield _refused(certificate, refused)
        return
    except (OSError, ssl.SSLError) as fault:
        yield error("tls", f"{certificate} can't be used: {fault}", "run `headgate check`")
        return
    yield _expiry(certificate, (ssl.cert_time_to_seconds(str(told["notAfter"])) - now) / DAY)
    if not told.get("subjectAltName"):
        yield error(
            "tls",
            f"{certificate} names no host in subjectAltName, so no client accepts it",
            "have it issued with the names it is for",
        )
    if told["subject"] == told["issuer"]:
        yield warning(
            "tls",
            f"{certificate} signed itself, so only clients that were given it accept it",
            "use one of an authority that clients know",
        )


def described(certificate: Path, key: Path) -> dict[str, object]:
    """What the certificate says, as `ssl` puts it: by a handshake with ourselves, in memory, that
    trusts just this one. Raises SSLCertVerificationError when its time is not now."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificate, key)
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.verify_flags |= ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN
    client.load_verify_locations(certificate)
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    theirs = server.wrap_bio(to_server, to_client, server_side=True)
    ours = client.wrap_bio(to_client, to_server)
    for side in (ours, theirs, ours, theirs):
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            continue
    return dict(ours.getpeercert() or {})


def _refused(certificate: Path, refused: ssl.SSLCertVerificationError) -> Finding:
    if refused.verify_code == _EXPIRED:
        return error("tls", f"{certificate} has expired", "renew it, then reload with SIGHUP")
    if refused.verify_code == _NOT_YET_VALID:
        return error("tls", f"{certificate} is not valid yet", "look at this machine's clock")
    said = f"{certificate} is refused: {refused.verify_message}"
    return error("tls", said, "have it issued anew, for a server")


def _expiry(certificate: Path, days: float) -> Finding:
    said = f"{certificate} expires in {days:.0f} days"
    remedy = "renew it, then reload with SIGHUP; see why it was not renewed by itself"
    if days < _VERY_SOON:
        return error("tls", said, remedy)
    return warning("tls", said, remedy) if days < _SOON else ok("tls", said)


def check_private(about: str, file: Path) -> Iterator[Finding]:
    """A file with a secret: others must not read it, nor the group write it."""
    try:
        mode = file.stat().st_mode
    except OSError as fault:
        yield error(about, f"{file}: {fault.strerror}", "run `headgate check`")
        return
    if mode & stat.S_IRWXO:
        said = f"{file} is open to every user of this machine ({stat.filemode(mode)})"
        yield error(about, said, f"chmod o= {file}")
    elif mode & stat.S_IWGRP:
        yield warning(about, f"{file} can be changed by its group", f"chmod g-w {file}")
    else:
        yield ok(about, f"{file} is private ({stat.filemode(mode)})")


def check_certificate_now(certificate: Path, key: Path) -> Iterator[Finding]:
    """The same, by this machine's clock, and who may read the key."""
    yield from check_certificate(certificate, key, time.time())
    yield from check_private("tls", key)
