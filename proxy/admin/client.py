"""`headgate trace`: the running program's responses as they end, on the terminal.

It asks the operator's door over HTTP and writes a line for each event, until it is interrupted.
"""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterable, Iterator, Mapping
from time import localtime, strftime
from typing import Any, TextIO
from urllib.parse import urlencode, urlsplit

from proxy.errors import StartError

# Seconds without a word; the door says something at least every five.
_SILENCE = 20.0
_CONNECT = 5.0
_LONGEST_LINE = 1 << 20


def trace(
    admin: str, token: str | None, chosen: Mapping[str, str], out: TextIO, *, as_json: bool
) -> None:
    """Writes lines to `out` until the program it looks at stops.

    `admin` is the URL of the operator's door, `chosen` the filter's parameters. Raises
    `StartError` in one line when it can't look.
    """
    parts = _parts(admin)
    connection = http.client.HTTPConnection(*parts, timeout=_CONNECT)
    fields = {"accept": "text/event-stream"}
    if token:
        fields["authorization"] = f"Bearer {token}"
    query = urlencode({name: value for name, value in chosen.items() if value})
    try:
        connection.request("GET", f"/trace?{query}", headers=fields)
        answer = connection.getresponse()
        if answer.status != 200:
            raise StartError(f"{admin} refuses: {_why(answer)}")
        if connection.sock is not None:
            connection.sock.settimeout(_SILENCE)
        for line in lines_of(_read(answer), as_json=as_json):
            out.write(f"{line}\n")
            out.flush()
    except (OSError, http.client.HTTPException) as error:
        raise StartError(f"Can't look at {admin}: {_one_line(error)}") from None
    finally:
        connection.close()


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
        return str(json.loads(answer.read(4096))["detail"])
    except (ValueError, KeyError, TypeError):
        return f"{answer.status} {answer.reason}"


def _read(answer: http.client.HTTPResponse) -> Iterator[str]:
    while line := answer.readline(_LONGEST_LINE):
        yield line.decode("utf-8", "replace").rstrip("\r\n")


def lines_of(stream: Iterable[str], *, as_json: bool) -> Iterator[str]:
    """What is shown of the lines of a stream of events. Pure."""
    event = ""
    for line in stream:
        name, _, value = line.partition(": ")
        if name == "event":
            event = value
        elif name == "data" and event == "dropped":
            yield f"… {json.loads(value)['lines']} lines were dropped: too many to show …"
        elif name == "data":
            yield value if as_json else as_text(json.loads(value))
        elif not line:
            event = ""


def as_text(record: Mapping[str, Any]) -> str:
    """A record on one readable line, with every control character escaped."""

    def told(name: str) -> str:
        return json.dumps(str(record.get(name, "-")))[1:-1]

    took = f"{float(record.get('seconds', 0)) * 1000:.1f} ms"
    at = strftime("%H:%M:%S", localtime(float(record.get("time", 0))))
    words = [
        at,
        told("status"),
        told("method"),
        told("target"),
        f"{told('sent')} B",
        took,
        told("outcome"),
        told("client"),
        f"[{told('request_id')}]",
    ]
    if "detail" in record:
        words.append(json.dumps(str(record["detail"])))
    return " ".join(words)
