"""Bodies of requests: JSON, short, and in time."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import Message

from proxy.admin import bodies
from proxy.admin.answers import BadParameter
from proxy.admin.bodies import MOST_BODY, json_body


def request_of(*pieces: bytes, media_type: str = "application/json", whole: bool = True) -> Request:
    """A request whose body comes in pieces; one that is not whole ends with its client's leave."""
    messages: list[Message] = [
        {"type": "http.request", "body": piece, "more_body": True} for piece in pieces
    ]
    messages.append(
        {"type": "http.request", "body": b"", "more_body": False}
        if whole
        else {"type": "http.disconnect"}
    )

    async def receive() -> Message:
        return messages.pop(0)

    headers = [(b"content-type", media_type.encode())] if media_type else []
    return Request({"type": "http", "method": "POST", "headers": headers}, receive)


async def test_an_object_is_read_whatever_pieces_it_comes_in() -> None:
    request = request_of(b'{"a"', b": ", b"1}", media_type="Application/JSON; charset=utf-8")
    assert await json_body(request, ("a", "b")) == {"a": 1}


@pytest.mark.parametrize(
    "media_type", ["", "text/plain", "application/json5", "application/x-www-form-urlencoded"]
)
async def test_what_a_form_can_send_is_refused(media_type: str) -> None:
    with pytest.raises(HTTPException) as caught:
        await json_body(request_of(b"{}", media_type=media_type), ())
    assert caught.value.status_code == 415


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"null", b"1", b'"a"', b"\xff", b'{"b": 1}', b"[" * 100_000, b"NaN x"],
)
async def test_what_is_no_object_of_known_members_is_refused(body: bytes) -> None:
    with pytest.raises(BadParameter):
        await json_body(request_of(body), ("a",))


async def test_a_body_has_a_limit() -> None:
    fits = b'{"a": "' + b"x" * (MOST_BODY - 9) + b'"}'
    assert len(fits) == MOST_BODY
    assert await json_body(request_of(fits), ("a",))
    with pytest.raises(HTTPException) as caught:
        await json_body(request_of(fits, b" "), ("a",))
    assert caught.value.status_code == 413


async def test_a_body_that_does_not_come(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "_PATIENCE", 0.0)

    async def receive() -> Message:
        await asyncio.sleep(60)
        raise AssertionError

    scope: dict[str, Any] = {
        "type": "http",
        "method": "POST",
        "headers": [(b"content-type", b"application/json")],
    }
    with pytest.raises(HTTPException) as caught:
        await json_body(Request(scope, receive), ())
    assert caught.value.status_code == 408


async def test_a_client_that_leaves_in_between() -> None:
    with pytest.raises(BadParameter):
        await json_body(request_of(b"{", whole=False), ())
