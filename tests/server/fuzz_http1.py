"""Mutated requests at a real worker, for as long as one likes: no test, a program.

    .venv/bin/python -m tests.server.fuzz_http1 [--seconds N] [--seed N]

Each connection sends one or more requests that were cut, doubled, flipped or joined, in one or
several pieces, and reads until the server closes or falls silent. In the end the worker must
still be the one there was, answer, have no handler and no task left, no more descriptors than at
the beginning, and neither a traceback nor an error in its log but the toy app's own.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator

from tests.server.fuzzing import main

SEEDS = (
    b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"HEAD /x?y=z HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    b"GET http://b/x HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n",
    b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
    (
        b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"5;a=b\r\nhello\r\n0\r\nT: x\r\n\r\n"
    ),
    b"POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc",
    b"OPTIONS * HTTP/1.1\r\nHost: [::1]:80\r\nAccept: */*\r\nRange: bytes=0-\r\n\r\n",
    b"GET /slow?3,1 HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET /fail HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET /zeros?10485760 HTTP/1.1\r\nHost: a\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00",
)
BITS = (b"\r\n", b"\n", b"\r", b"\x00", b" ", b"\t", b":", b"+5", b"0x5", b"-1", b"\r\n\r\n",
        b"\xff", b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n", b"Host: b\r\n",
        b";" * 300,
        b"FFFFFFFFFFFFFFFFF", b"HTTP/1.1", b"0\r\n\r\n", b"a" * 20_000)  # fmt: skip


def mutated(choose: random.Random) -> bytes:
    """One stream of bytes for one connection."""
    data = bytearray(b"".join(choose.choices(SEEDS, k=choose.randint(1, 4))))
    for _ in range(choose.choice((0, 1, 1, 2, 3, 8))):
        at, to = sorted(choose.randint(0, len(data)) for _ in range(2))
        match choose.randrange(5):
            case 0:
                data[at:at] = choose.choice(BITS)
            case 1:
                del data[at : min(to, at + 20)]
            case 2 if data:
                data[at % len(data)] ^= 1 << choose.randrange(8)
            case 3:
                data[at:at] = data[at : min(to, at + 40)]
            case _:
                del data[to:]
    return bytes(data)


async def answers(reader: asyncio.StreamReader) -> AsyncIterator[int]:
    """How many came at first, interim ones too."""
    yield (await reader.read(200_000)).count(b"HTTP/1.1 ")


if __name__ == "__main__":
    main(__doc__, mutated, answers, counted="answers", linger=35)
