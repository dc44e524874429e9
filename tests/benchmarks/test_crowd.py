"""The crowd finds what is wrong: seen with a server that does each thing wrong once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from tests.benchmarks.crowd import Crowd, Seen, checksum, play, prefix
from tests.load import data

KEY, SIZE = "crowd", 300_000
BODY = b"".join(data.body(KEY, SIZE))
Answer = Callable[[asyncio.StreamWriter], Awaitable[None]]


async def seen_of(*answers: Answer, limit: float = 20.0, slow: int = 0) -> Seen:
    """What a crowd sees of a server that gives these answers in turn."""
    left = list(answers)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        try:
            await left.pop(0)(writer)
            await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/{KEY}"
        count = len(answers) - bool(slow)
        return await play(Crowd(url, KEY, SIZE, count, join=0.0, limit=limit, slow=slow))


def sending(body: bytes, status: str = "200 OK", length: int = SIZE) -> Answer:
    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.write(f"HTTP/1.1 {status}\r\nContent-Length: {length}\r\n\r\n".encode() + body)

    return answer


async def in_small_pieces(writer: asyncio.StreamWriter) -> None:
    whole = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % SIZE + BODY
    for at in (slice(0, 20), slice(20, 40), slice(40, 100_000), slice(100_000, None)):
        writer.write(whole[at])
        await asyncio.sleep(0.01)


async def never_ending(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % SIZE + BODY[:100])
    await asyncio.sleep(3)


async def test_right_bodies() -> None:
    seen = await seen_of(sending(BODY), in_small_pieces)
    assert (seen.right, seen.received, seen.faults) == (2, 2 * SIZE, {})


async def test_one_other_byte_is_wrong() -> None:
    other = BODY[:200_000] + bytes([BODY[200_000] ^ 1]) + BODY[200_001:]
    assert (await seen_of(sending(other))).wrong == 1


async def test_what_does_not_come_whole_is_failed() -> None:
    seen = await seen_of(
        sending(BODY[:-1]),
        sending(b"", "503 Busy", 0),
        sending(BODY[:-1], length=SIZE - 1),
        sending(b"x" * 70_000, "200 OK\r\nX: " + "x" * 70_000),
    )
    assert (seen.failed, seen.right, seen.wrong) == (4, 0, 0)
    assert sum(seen.faults.values()) == 4
    assert seen.faults["failed: HTTP/1.1 503 Busy"] == 1


async def test_who_waits_too_long_is_given_up() -> None:
    seen = await seen_of(never_ending, sending(BODY), limit=1.5)
    assert (seen.unfinished, seen.right) == (1, 1)


async def test_the_slow_one_is_looked_at_apart() -> None:
    seen = await seen_of(sending(BODY), in_small_pieces, slow=1000)
    assert (seen.right, seen.slow_right, seen.slow_cut) == (1, True, False)
    assert 0 < seen.slow_bytes < SIZE
    wrong = await seen_of(
        sending(BODY.translate(bytes(range(1, 256)) + b"\0")), in_small_pieces, slow=1000
    )
    assert not wrong.slow_right
    cut = await seen_of(sending(b"", "503 Busy", 0), in_small_pieces, slow=1000)
    assert cut.slow_cut


def test_prefix() -> None:
    pieces = [b"abc", b"def", b"ghi"]
    assert [b"".join(prefix(iter(pieces), n)) for n in (0, 2, 3, 4, 99)] == [
        b"", b"ab", b"abc", b"abcd", b"abcdefghi",
    ]  # fmt: skip
    assert checksum(iter(pieces)) == checksum(iter([b"abcdefghi"]))
