"""`headgate trace`: the running program's responses as they end, on the terminal.

It asks the operator's door over HTTP and writes a line for each event, until it is interrupted.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from time import localtime, strftime
from typing import Any, TextIO
from urllib.parse import urlencode

from proxy.admin.asking import asked, lines


def trace(
    admin: str, token: str | None, chosen: Mapping[str, str], out: TextIO, *, as_json: bool
) -> None:
    """Writes lines to `out` until the program it looks at stops.

    `admin` is the URL of the operator's door, `chosen` the filter's parameters. Raises
    `StartError` in one line when it can't look.
    """
    query = urlencode({name: value for name, value in chosen.items() if value})
    with asked(admin, token, f"/trace?{query}", accept="text/event-stream") as answer:
        for line in lines_of(lines(answer), as_json=as_json):
            out.write(f"{line}\n")
            out.flush()


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
