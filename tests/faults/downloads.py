"""Clients of a campaign: HTTP/1.1 and HTTP/2, quick and slow. They say what they took for complete.

"Complete" is the library's word (httpx): the message ended, with as many bytes as were announced.
"""

from __future__ import annotations

import asyncio
import random
import re
from dataclasses import dataclass
from typing import Literal

import httpx

from tests.faults.drawing import Asked

Outcome = Literal["right", "refused", "broken", "late", "wrong"]

# Seconds: 64 MiB for each of a dozen users took 40 on two cores that others kept busy as well.
PATIENCE = 150.0
# A slow client rests so often, and so long in all.
_RESTS, _RESTING = 12, 0.8
_PLACE = re.compile(r"bytes (\d+)-(\d+)/(\d+)")


@dataclass(frozen=True, slots=True)
class Ended:
    """How a download ended. "refused": a complete answer of status 400 or above."""

    outcome: Outcome
    status: int = 0
    said: str = ""


class Client:
    """One user: a connection of each protocol. `urls` are by protocol, without a path."""

    def __init__(self, urls: tuple[str, str]) -> None:
        self._clients = (_client(urls[0], http2=False), _client(urls[1], http2=True))

    async def aclose(self) -> None:
        for client in self._clients:
            await client.aclose()

    async def get(self, target: str, asked: Asked, *, protocol: int, slow: bool) -> Ended:
        """Downloads, and compares with what is right. `protocol` is 1 or 2."""
        client = self._clients[protocol - 1]
        fields = {"accept-encoding": "identity", **({"range": asked.field} if asked.field else {})}
        try:
            async with asyncio.timeout(PATIENCE):
                return await _get(client, target, fields, asked, slow)
        except TimeoutError:
            return Ended("late")
        except (httpx.TransportError, httpx.StreamError) as error:
            return Ended("broken", said=repr(error))


def _client(url: str, *, http2: bool) -> httpx.AsyncClient:
    """One connection; HTTP/2 with prior knowledge."""
    return httpx.AsyncClient(
        base_url=url,
        http1=not http2,
        http2=http2,
        timeout=PATIENCE,
        limits=httpx.Limits(max_connections=1),
        trust_env=False,
    )


async def _get(
    client: httpx.AsyncClient, target: str, fields: dict[str, str], asked: Asked, slow: bool
) -> Ended:
    async with client.stream("GET", target, headers=fields) as response:
        body = bytearray()
        async for piece in response.aiter_raw():
            body += piece
            if slow and len(body) < asked.length:
                step = max(1, asked.length // _RESTS)
                await asyncio.sleep(_RESTING / _RESTS * min(1.0, len(piece) / step))
    if response.status_code >= 300:
        return Ended("refused", response.status_code)
    right = is_right(asked, response.status_code, dict(response.headers), body)
    return Ended("right" if right else "wrong", response.status_code)


def is_right(asked: Asked, status: int, headers: dict[str, str], body: bytes | bytearray) -> bool:
    """Whether a complete answer gives the bytes that it claims to give, of one version."""
    thing = asked.thing
    start, stop = 0, thing.size
    if status == 206:
        place = _PLACE.fullmatch(headers.get("content-range", ""))
        if place is None or tuple(map(int, place.groups())) != (
            asked.start,
            asked.stop - 1,
            thing.size,
        ):
            return False
        start, stop = asked.start, asked.stop
    whole = bytes(body)
    return whole == bytes(thing.body[start:stop]) or whole == thing.other[start:stop]


def draws_slow(chance: random.Random) -> bool:
    """One client in eight."""
    return chance.random() < 0.125
