"""Every Authorization is held against the one that botocore makes of the same request."""

from __future__ import annotations

import datetime as dt
from typing import Any
from unittest import mock

import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st

from proxy.origins.s3.signing import Keys, Signer, encode_key, encode_query

NOW = dt.datetime(2026, 11, 23, 10, 11, 12, tzinfo=dt.UTC)
KEYS = Keys("AKEXAMPLE", "secret/key+1")


def by_botocore(keys: Keys, method: str, target: str, headers: dict[str, str]) -> dict[str, str]:
    request: Any = AWSRequest(method, f"http://h.example:8333{target}", headers=dict(headers))
    with mock.patch("botocore.auth.get_current_datetime", return_value=NOW):
        S3SigV4Auth(Credentials(*keys), "s3", "eu-west-1").add_auth(request)
    return {name.lower(): value for name, value in request.headers.items()}


def by_us(keys: Keys, method: str, target: str, headers: dict[str, str]) -> dict[str, str]:
    signer = Signer("eu-west-1")
    return signer.sign(keys, method, target, {"host": "h.example:8333", **headers}, NOW.timestamp())


def compare(keys: Keys, method: str, target: str, headers: dict[str, str]) -> None:
    ours, theirs = by_us(keys, method, target, headers), by_botocore(keys, method, target, headers)
    assert ours.pop("host") == "h.example:8333"
    assert ours == theirs


@pytest.mark.parametrize(
    "key",
    [
        "a.txt",
        "with space",
        "plus+and%20percent",
        "a//b///c",
        "/leading",
        "trailing/",
        "~tilde-_.",
        "quotes'\"`",
        "paren()[]{}<>",
        "q?x=1&y=2#h",
        "ünï/cödé/😀",
        "back\\slash|pipe^",
        "a/../b/./c",
        "\x01\x7f",
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_odd_keys(key: str, method: str) -> None:
    compare(KEYS, method, "/media/" + encode_key(key), {"range": "bytes=0-99"})


@given(
    key=st.text(st.characters(exclude_categories=["Cs"]), min_size=1),
    parameters=st.dictionaries(st.text("abz-~", min_size=1), st.text(max_size=8), max_size=3),
    tag=st.text(st.characters(min_codepoint=0x23, max_codepoint=0x7E), max_size=40),
    token=st.none() | st.text("abc/+=", min_size=1),
)
def test_any_key_query_and_header(
    key: str, parameters: dict[str, str], tag: str, token: str | None
) -> None:
    query = encode_query(parameters.items())
    target = f"/{encode_key(key)}" + (f"?{query}" if query else "")
    compare(KEYS._replace(session_token=token), "GET", target, {"if-match": f'"{tag}"'})


def test_a_key_is_encoded_once_and_slashes_stay() -> None:
    assert encode_key("a b+c%20d//é/😀~") == "a%20b%2Bc%2520d//%C3%A9/%F0%9F%98%80~"


def test_white_space_in_a_value_is_folded_as_the_rule_says() -> None:
    compare(KEYS, "GET", "/k", {"x-amz-test": "  a   b  "})


def test_the_signing_key_follows_the_day_and_the_secret() -> None:
    signer = Signer("eu-west-1")
    day = 24 * 3600

    def signature(keys: Keys, now: float) -> str:
        return signer.sign(keys, "GET", "/k", {"host": "h"}, now)["authorization"]

    first = signature(KEYS, 0)
    assert signature(KEYS, 0.9) == first
    other = KEYS._replace(secret_access_key="other")
    assert len({first, signature(KEYS, day), signature(other, day), signature(other, 0)}) == 4
    assert signature(KEYS, 0) == first


def test_keys_have_no_readable_form() -> None:
    assert "secret" not in repr(KEYS)
    assert "secret" not in str(KEYS)
