"""Part sizes: known for certain, or not told."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Sequence

import pytest

from proxy.errors import ChecksumMismatch, ObjectChanged, OriginFault, OriginUnavailable
from proxy.origins.base import NO_BODY
from proxy.origins.s3.parts import MOST_ASKED
from tests.origins.cancelling import cancel_everywhere
from tests.origins.s3.fault_origin import (
    MD5,
    Request,
    Step,
    answer,
    fault_origin,
    s3_origin,
)
from tests.servers import RcloneS3, S3Server, SeaweedFS

MIB = 1024 * 1024

Respond = Callable[[Request], Sequence[Step]]


def in_parts(*sizes: int, told: int | None = None, more: int = 0) -> Respond:
    """A store with one object of these parts, and `more` bytes that are in none.

    `told`: how many parts it says there are.
    """

    def respond(request: Request) -> Sequence[Step]:
        headers = {"ETag": f'{MD5[:-1]}-{len(sizes)}"'}
        _, _, number = request.target.partition("partNumber=")
        if not number:
            return [answer(200, headers, length=sum(sizes) + more)]
        headers["x-amz-mp-parts-count"] = str(told or len(sizes))
        return [answer(206, headers, length=sizes[int(number) - 1])]

    return respond


def refusing(reply: bytes, number: int = 1) -> Respond:
    """A store that answers so when asked for one of three parts."""
    usual = in_parts(9, 9, 9)
    return lambda r: [reply] if r.target.endswith(f"partNumber={number}") else usual(r)


async def asked(respond: Respond) -> tuple[tuple[int, ...] | None, int]:
    """The part sizes, and how many requests they took."""
    async with fault_origin(respond) as store, s3_origin(store.endpoint) as origin:
        opened = await origin.open("a", NO_BODY)
        sizes = await opened.part_sizes()
        for request in store.requests[1:]:
            assert (request.method, "if-match" in request.headers) == ("HEAD", True)
        return sizes, len(store.requests) - 1


@pytest.mark.parametrize("sizes", [(9,), (9, 9), (9, 5), (9, 9, 9, 9), (9, 9, 9, 1), (9,) * 500])
async def test_equal_parts_and_a_rest_take_two_questions(sizes: tuple[int, ...]) -> None:
    assert await asked(in_parts(*sizes)) == (sizes, min(2, len(sizes)))


@pytest.mark.parametrize("sizes", [(5, 9, 2), (5, 5, 9), (9, 5, 9, 3), (1, 2, 4, 8)])
async def test_other_parts_are_asked_for_one_by_one(sizes: tuple[int, ...]) -> None:
    assert await asked(in_parts(*sizes)) == (sizes, len(sizes))


async def test_too_many_different_parts() -> None:
    assert await asked(in_parts(*range(1, MOST_ASKED + 2))) == (None, 2)


@pytest.mark.parametrize(
    "respond",
    [
        in_parts(9, 9, told=3),
        refusing(answer(200, {"ETag": MD5}, length=27)),
        refusing(answer(400)),
        refusing(answer(416), 3),
        refusing(answer(501)),
    ],
)
async def test_a_store_that_does_not_tell(respond: Respond) -> None:
    assert (await asked(respond))[0] is None


@pytest.mark.parametrize("sizes", [(9,), (9, 5), (9, 5, 9, 9), (9, 9, 9)])
@pytest.mark.parametrize("more", [1, -1])
async def test_a_length_that_the_parts_contradict(sizes: tuple[int, ...], more: int) -> None:
    """A Content-Length that is a lie: without its own checksum, only the parts give it away."""
    with pytest.raises(ChecksumMismatch):
        await asked(in_parts(*sizes, more=more))


async def test_not_uploaded_in_parts() -> None:
    async with fault_origin() as store, s3_origin(store.endpoint) as origin:
        opened = await origin.open("a")
        assert await opened.part_sizes() is None
        assert len(store.requests) == 1
        await opened.aclose()


@pytest.mark.parametrize(
    ("reply", "fault"),
    [
        (answer(412), ObjectChanged),
        (answer(404), ObjectChanged),
        (answer(503), OriginUnavailable),
        (answer(403), OriginFault),
        (answer(302, {"Location": "http://127.0.0.1:1/"}), OriginFault),
    ],
)
async def test_a_store_that_fails(reply: bytes, fault: type[OriginFault]) -> None:
    with pytest.raises(fault):
        await asked(refusing(reply))


@pytest.mark.servers
async def test_a_faithful_store(seaweedfs: SeaweedFS) -> None:
    sizes = (6 * MIB, 5 * MIB, 5 * MIB + 1, 17)
    assert await of_real_parts(seaweedfs, sizes) == sizes


@pytest.mark.servers
async def test_a_store_that_knows_no_parts(rclone: RcloneS3) -> None:
    assert await of_real_parts(rclone, (5 * MIB, 17)) is None


async def of_real_parts(server: S3Server, sizes: tuple[int, ...]) -> tuple[int, ...] | None:
    key = f"parts/{secrets.token_hex(8)} +%"
    parts = [bytes(size) for size in sizes]
    await asyncio.to_thread(server.uploads.put_multipart, server.bucket, key, parts)
    async with s3_origin(
        server.endpoint,
        access_key_id=server.access_key_id,
        secret_access_key=server.secret_access_key,
        first_byte_timeout=60,
    ) as origin:
        opened = await origin.open(key)
        try:
            return await opened.part_sizes()
        finally:
            await opened.aclose()


async def test_cancelled_at_every_await() -> None:
    async with (
        fault_origin(in_parts(1, 2, 3, 4)) as store,
        s3_origin(store.endpoint, max_connections=2) as origin,
    ):

        async def use() -> None:
            opened = await origin.open("a", NO_BODY)
            try:
                assert await opened.part_sizes() == (1, 2, 3, 4)
            finally:
                await opened.aclose()

        await cancel_everywhere(use)
        await use()
