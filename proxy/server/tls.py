"""Certificates: the one place that makes a TLS context, so that supervisor and workers agree.

Hypercorn's configuration makes it: TLS 1.2 or later, ALPN, no compression.

The supervisor loads the files once before it starts any worker, only to see that they can be
used; each worker loads them again for itself.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from hypercorn.config import Config

from proxy.errors import StartError

# TLS 1.2 is the oldest version browsers still speak; RFC 9113 §9.2.2 forbids all its suites but
# those with an ephemeral key exchange and AEAD. TLS 1.3 has suites of its own.
_TLS_1_2_SUITES = "ECDHE+AESGCM:ECDHE+CHACHA20"
_ALPN = ("h2", "http/1.1")


@dataclass(frozen=True, slots=True)
class TLSFiles:
    """Where to speak TLS and with which files.

    Attributes:
        bind: addresses, as `host:port` or `unix:/path`.
        certificate: path of the PEM file with the certificate and its chain, leaf first.
        key: path of the PEM file with the private key, without a pass phrase.
    """

    bind: tuple[str, ...]
    certificate: str
    key: str


class _Encrypted(Exception):
    """The key asks for a pass phrase."""


def _no_passphrase() -> str:
    raise _Encrypted


def make_context(files: TLSFiles) -> ssl.SSLContext:
    """A server context for HTTP/2 and HTTP/1.1 by ALPN, TLS 1.2 or later.

    Raises `StartError` in one line when the files can't be used.
    """
    _check_readable(files.certificate, "certificate")
    _check_readable(files.key, "key")
    try:
        context = _config(files).create_ssl_context()
    except _Encrypted:
        raise StartError(
            f"The TLS key {files.key} is encrypted: give one without a pass phrase"
        ) from None
    except ssl.SSLError as error:
        raise StartError(_explain(error, files)) from None
    if context is None:
        raise StartError("Hypercorn made no TLS context: install version 0.18 of it")
    # Hypercorn replaces the options that Python sets by one of its own (RFC 9113 §9.2.1).
    context.options |= ssl.OP_ALL | ssl.OP_CIPHER_SERVER_PREFERENCE | ssl.OP_NO_RENEGOTIATION
    return context


def _config(files: TLSFiles) -> Config:
    config = Config()
    config.certfile, config.keyfile = files.certificate, files.key
    # OpenSSL takes a function for a text, and asks it only if the key is encrypted.
    config.keyfile_password = cast("str", _no_passphrase)
    config.ciphers = _TLS_1_2_SUITES
    config.alpn_protocols = list(_ALPN)
    return config


def _check_readable(path: str, what: str) -> None:
    try:
        with Path(path).open("rb"):
            pass
    except OSError as error:
        reason = (error.strerror or "unknown error").lower()
        raise StartError(f"The TLS {what} {path} can't be read: {reason}") from None


def _explain(error: ssl.SSLError, files: TLSFiles) -> str:
    if error.reason == "KEY_VALUES_MISMATCH":
        return f"The TLS key {files.key} does not belong to the certificate {files.certificate}"
    return (
        f"The TLS certificate {files.certificate} and key {files.key} can't be used:"
        f" not PEM files of a certificate and a key ({error.reason or 'no reason given'})"
    )
