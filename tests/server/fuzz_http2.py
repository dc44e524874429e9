"""Frames no client would send, at a real worker, for as long as one likes: no test, a program.

    .venv/bin/python -m tests.server.fuzz_http2 [--seconds N] [--seed N]

Each connection sends frames in any order, some of them flipped, cut or doubled, in one or several
pieces, and reads until the server closes or falls silent. What must hold in the end is said in
`fuzz_http1.py`.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable

from proxy.server.http2 import frames
from tests.server.fuzzing import main
from tests.server.http2.driving import (
    GET,
    POST,
    block,
    data,
    frame,
    headers,
    reset,
    settings,
    update,
)

_PATHS = (b"/", b"/echo", b"/slow?3,1", b"/fail", b"/short", b"/zeros?1048576", b"/trailers?70000",
          b"/never", b"/unread", b"@", b"/\xff")  # fmt: skip
_WORDS = (0, 1, 100, 65535, 2**31 - 1)


def _request(choose: random.Random, stream: int) -> bytes:
    fields = [*choose.choice((GET, POST))[:3], (b":path", choose.choice(_PATHS))]
    if choose.random() < 0.2:
        fields.append(
            choose.choice(((b"content-length", b"5"), (b"X", b"y"), (b"te", b"trailers")))
        )
    if choose.random() < 0.1:
        choose.shuffle(fields)
    return headers(stream, fields, end=choose.random() < 0.7, whole=choose.random() < 0.95)


_KINDS: tuple[Callable[[random.Random, int], bytes], ...] = (
    _request,
    _request,
    _request,
    lambda choose, stream: data(stream, bytes(choose.choice((0, 1, 5, 16384)))),
    lambda choose, stream: data(stream, b"hello", end=True, flags=choose.choice((0, 8))),
    lambda choose, stream: reset(stream),
    lambda choose, stream: update(choose.choice((0, stream)), choose.choice(_WORDS)),
    lambda choose, stream: settings((choose.randint(1, 9), choose.choice(_WORDS))),
    lambda choose, stream: frame(frames.PING, bytes(8), 0, choose.randint(0, 1)),
    lambda choose, stream: frame(frames.PRIORITY, choose.randbytes(5), stream),
    lambda choose, stream: frame(frames.PRIORITY_UPDATE, bytes((0, 0, 0, stream)) + b"u=1, i"),
    lambda choose, stream: frame(frames.CONTINUATION, block(GET), stream, choose.choice((0, 4))),
    lambda choose, stream: frame(
        frames.HEADERS, choose.randbytes(9), stream, choose.randint(0, 255)
    ),
    lambda choose, stream: frame(choose.randint(0, 30), choose.randbytes(8), stream),
)


def mutated(choose: random.Random) -> bytes:
    """One stream of bytes for one connection."""
    sent = bytearray(frames.PREFACE + settings())
    stream = 1
    for _ in range(choose.randint(1, 30)):
        stream += choose.choice((0, 0, 2, 2, 2, -2, 1)) if stream < 250 else 0
        sent += choose.choice(_KINDS)(choose, max(0, stream))
    for _ in range(choose.choice((0, 0, 0, 1, 3))):
        at = choose.randrange(len(sent))
        match choose.randrange(3):
            case 0:
                sent[at] ^= 1 << choose.randrange(8)
            case 1:
                del sent[at : at + choose.randint(1, 20)]
            case _:
                sent[at:at] = sent[at : at + choose.randint(1, 60)]
    return bytes(sent)


async def received(reader: asyncio.StreamReader) -> AsyncIterator[int]:
    """How many bytes come, until the server closes."""
    while came := await reader.read(200_000):
        yield len(came)


if __name__ == "__main__":
    main(__doc__, mutated, received, counted="bytes", linger=15)
