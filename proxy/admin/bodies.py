"""How the body of a request is read: JSON, short, and never what a form of another site can send.

A page may have a browser send `text/plain` and forms anywhere without asking; for
`application/json` the browser asks first (CORS), and gets no leave here.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Collection, Mapping
from typing import Any, Final

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request

from proxy.admin.answers import BadParameter

# Bytes. Three times as many, written in ASCII, still fit into a message to a worker.
MOST_BODY: Final = 256 * 1024
# Seconds for all of it to come.
_PATIENCE: Final = 10.0
# Characters of one text. Keys have at most 1024 bytes in S3.
MOST_TEXT: Final = 4096


async def json_body(request: Request, known: Collection[str]) -> Mapping[str, Any]:
    """The members of the object that the body is.

    Raises HTTPException 415, 413 and 408, and BadParameter for a body that is no such object or
    has a member that is not known.
    """
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise HTTPException(415, "The body must be JSON, and content-type say application/json.")
    try:
        told = json.loads(await _read(request))
    except (ValueError, RecursionError):
        raise BadParameter("The body is no JSON.") from None
    if not isinstance(told, dict):
        raise BadParameter("The body must be a JSON object.")
    for name in told:
        if name not in known:
            there = ", ".join(sorted(known)) or "there are none"
            raise BadParameter(f"There is no member {name!a}; known here: {there}.")
    return told


async def _read(request: Request) -> bytes:
    body = bytearray()
    try:
        async with asyncio.timeout(_PATIENCE):
            async for piece in request.stream():
                body += piece
                if len(body) > MOST_BODY:
                    raise HTTPException(413, f"A body has at most {MOST_BODY} bytes.")
    except TimeoutError:
        raise HTTPException(408, f"The body did not come within {_PATIENCE:g} s.") from None
    except ClientDisconnect:
        raise BadParameter("The body is not whole.") from None
    return bytes(body)


def text_of(told: Mapping[str, Any], name: str, default: str | None = None) -> str:
    """A text; without a `default` it must be there."""
    found = told.get(name, default)
    if not isinstance(found, str) or not is_text(found):
        raise BadParameter(f"{name}: expected a text of at most {MOST_TEXT} characters.")
    return found


def is_text(value: object) -> bool:
    """Whether it can be a key, a prefix, a tag or a name: Unicode, without NUL, and not long."""
    if not isinstance(value, str) or len(value) > MOST_TEXT or "\0" in value:
        return False
    return not any("\ud800" <= char <= "\udfff" for char in value)


def flag_of(told: Mapping[str, Any], name: str) -> bool:
    """True or false; false if it is left out."""
    found = told.get(name, False)
    if not isinstance(found, bool):
        raise BadParameter(f"{name}: expected true or false.")
    return found
