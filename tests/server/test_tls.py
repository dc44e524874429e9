"""Certificates that can't be used, each in one line."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives import serialization

from proxy.errors import StartError
from proxy.server.tls import TLSFiles, make_context


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with two certificates, their keys, an encrypted key and an empty file."""
    directory = tmp_path_factory.mktemp("tls")
    authority = trustme.CA()
    for name in ("one", "two"):
        issued = authority.issue_cert("localhost")
        issued.cert_chain_pems[0].write_to_path(directory / f"{name}.crt")
        issued.private_key_pem.write_to_path(directory / f"{name}.key")
    plain = serialization.load_pem_private_key((directory / "one.key").read_bytes(), None)
    encrypted = plain.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"secret"),
    )
    (directory / "encrypted.key").write_bytes(encrypted)
    (directory / "empty").write_bytes(b"")
    return directory


def context(made: Path, certificate: str, key: str) -> ssl.SSLContext:
    return make_context(TLSFiles(("a:1",), str(made / certificate), str(made / key)))


def test_a_good_pair(made: Path) -> None:
    assert context(made, "one.crt", "one.key").minimum_version == ssl.TLSVersion.TLSv1_2


@pytest.mark.parametrize(
    ("certificate", "key", "words"),
    [
        ("none.crt", "one.key", "none.crt can't be read: no such file"),
        ("one.crt", "none.key", "none.key can't be read: no such file"),
        ("one.crt", "two.key", "does not belong to the certificate"),
        ("one.crt", "encrypted.key", "is encrypted"),
        ("empty", "one.key", "can't be used"),
        ("one.key", "one.crt", "can't be used"),
        (".", "one.key", "can't be read: is a directory"),
    ],
)
def test_a_bad_pair(made: Path, certificate: str, key: str, words: str) -> None:
    with pytest.raises(StartError) as caught:
        context(made, certificate, key)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
