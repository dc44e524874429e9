"""How commands ask the operator's door of a running Headgate over HTTP."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from proxy.errors import StartError

# Seconds without a word; the door says something at least every five.
SILENCE = 20.0
_CONNECT = 5.0
LONGEST_LINE = 1 << 20


class Refused(StartError):
    """The door answered with another status than 200, which is told with why."""

    def __init__(self, admin: str, status: int, why: str) -> None:
        super().__init__(f"{admin} refuses: {why}")
        self.status = status
        self.why = why


@contextmanager
def asked(
    admin: str,
    token: str | None,
    path: str,
    body: Mapping[str, Any] | None = None,
    accept: str = "application/json",
    *,
    silence: float = SILENCE,
) -> Iterator[http.client.HTTPResponse]:
    """The answer to a GET, or with a `body` (JSON) to a POST, while the block reads it.

    `admin` is the URL of the operator's door, `silence` how many seconds may pass without a word.
    Raises `Refused`, and `StartError` in one line where
    it can't be asked or breaks off.
    """
    connection = http.client.HTTPConnection(*_parts(admin), timeout=_CONNECT)
    fields = {"accept": accept}
    if token:
        fields["authorization"] = f"Bearer {token}"
    if body is not None:
        fields["content-type"] = "application/json"
    text = None if body is None else json.dumps(body).encode()
    try:
        connection.connect()
        if connection.sock is not None:
            connection.sock.settimeout(silence)
        connection.request("GET" if body is None else "POST", path, text, fields)
        answer = connection.getresponse()
        if answer.status != 200:
            raise Refused(admin, answer.status, _why(answer))
        yield answer
    except (OSError, http.client.HTTPException) as error:
        raise StartError(f"Can't look at {admin}: {_one_line(error)}") from None
    finally:
        connection.close()


def lines(answer: http.client.HTTPResponse) -> Iterator[str]:
    """The lines of an answer, as they come."""
    while line := answer.readline(LONGEST_LINE):
        yield line.decode("utf-8", "replace").rstrip("\r\n")


def _one_line(error: Exception) -> str:
    return json.dumps(str(error).strip())[1:-1] or type(error).__name__


def _parts(admin: str) -> tuple[str, int]:
    text = admin if "://" in admin else f"http://{admin}"
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if host is None or urlsplit(text).scheme != "http":
        raise StartError(f'{admin!r} is no address: expected "http://127.0.0.1:9090"')
    return host, port or 80


def _why(answer: http.client.HTTPResponse) -> str:
    try:
        return str(json.loads(answer.read(65536))["detail"])
    except (ValueError, KeyError, TypeError):
        return f"{answer.status} {answer.reason}"
