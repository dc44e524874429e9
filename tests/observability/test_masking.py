"""Secrets in what others write into their messages."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.observability.masking import MASK, masked


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "GET https://store/x?X-Amz-Date=1&X-Amz-Signature=5f1e&X-Amz-Expires=9",
            f"GET https://store/x?X-Amz-Date=1&X-Amz-Signature={MASK}&X-Amz-Expires=9",
        ),
        ("x-amz-security-token: FwoGZXIvYXdzE", f"x-amz-security-token: {MASK}"),
        ("Authorization: AWS4-HMAC-SHA256 Credential=A, Signature=b", f"Authorization: {MASK}"),
        ("{'secret_access_key': 'wJalr/XUtn'}", f"{{'secret_access_key': '{MASK}'}}"),
        ('{"token":"abc"}', f'{{"token":"{MASK}"}}'),
        ("?sig=abc&a=1", f"?sig={MASK}&a=1"),
        ("Bearer abcdefgh.ijkl", f"Bearer {MASK}"),
        ("https://user:word@store/x", f"https://{MASK}@store/x"),
        ("Cookie: a=b; c=d", f"Cookie: {MASK}"),
    ],
)
def test_secrets_are_masked(text: str, expected: str) -> None:
    assert masked(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "no 'token.txt' in media",
        "the credentials have expired: renew session_token or the profile's session",
        "https://store.example/a@b",
        "resign=1&design=2",
        "basic checks",
    ],
)
def test_the_rest_stays(text: str) -> None:
    assert masked(text) == text


@given(st.text())
def test_what_is_masked_stays_so(text: str) -> None:
    assert MASK not in text
    assert masked(masked(text)) == masked(text)
