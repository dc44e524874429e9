"""What a client may not do: raw bytes on its streams, and how the connection ends."""

from __future__ import annotations

import asyncio

import pytest

from proxy.server.http3 import frames
from proxy.server.http3.faults import ErrorCode
from proxy.server.http3.frames import Kind, frame, write_varint
from tests.server.http3.client import talking
from tests.server.http3.conftest import Doors

# GET https://a/x: methods and schemes of the static table, two literals.
BLOCK = b"\0\0\xd1\xd7\x50\x01a\x51\x02/x"
HEAD = frame(Kind.HEADERS, BLOCK)

ON_A_REQUEST = [
    (frame(Kind.DATA, b"a"), ErrorCode.FRAME_UNEXPECTED),
    (HEAD + HEAD + HEAD, ErrorCode.MESSAGE_ERROR),
    (frame(Kind.SETTINGS, b""), ErrorCode.FRAME_UNEXPECTED),
    (frame(Kind.GOAWAY, b"\0"), ErrorCode.FRAME_UNEXPECTED),
    (frame(Kind.MAX_PUSH_ID, b"\0"), ErrorCode.FRAME_UNEXPECTED),
    (frame(Kind.CANCEL_PUSH, b"\0"), ErrorCode.FRAME_UNEXPECTED),
    (frame(Kind.PUSH_PROMISE, b"\0" + BLOCK), ErrorCode.FRAME_UNEXPECTED),
    (frame(Kind.PRIORITY_UPDATE, b"\0"), ErrorCode.FRAME_UNEXPECTED),
    (b"\x02\x00", ErrorCode.FRAME_UNEXPECTED),
    (HEAD[:-1], ErrorCode.FRAME_ERROR),
    (frame(Kind.HEADERS, b"\x02\0\x80"), ErrorCode.DECOMPRESSION_FAILED),
]
# The client of these tests has a control stream already: what is there is said on it.
ON_CONTROL = [
    (frame(Kind.DATA, b"a"), ErrorCode.FRAME_UNEXPECTED),
    (HEAD, ErrorCode.FRAME_UNEXPECTED),
    (frame(Kind.SETTINGS, b""), ErrorCode.FRAME_UNEXPECTED),
    (frame(Kind.CANCEL_PUSH, b"\0"), ErrorCode.ID_ERROR),
    (frame(Kind.MAX_PUSH_ID, b"\0"), ErrorCode.ID_ERROR),  # less than before
    (frame(Kind.PRIORITY_UPDATE, b""), ErrorCode.FRAME_ERROR),
    (frame(Kind.PRIORITY_UPDATE, b"\x02"), ErrorCode.ID_ERROR),
    (frame(Kind.GOAWAY, b""), ErrorCode.FRAME_ERROR),
    (b"\x06\x00", ErrorCode.FRAME_UNEXPECTED),
    (frames.frame_header(Kind.GOAWAY, 5000), ErrorCode.EXCESSIVE_LOAD),
]
NEW_STREAMS = [
    (b"\x00", ErrorCode.STREAM_CREATION_ERROR),  # a second one of its kind
    (b"\x01\x00", ErrorCode.STREAM_CREATION_ERROR),  # a push
    (b"\x02", ErrorCode.STREAM_CREATION_ERROR),
]


@pytest.mark.parametrize(("data", "code"), ON_A_REQUEST)
async def test_frames_where_none_may_be(doors: Doors, data: bytes, code: ErrorCode) -> None:
    async with talking(doors.tls) as client:
        stream = client.raw_stream(data, end=True)
        if code == ErrorCode.MESSAGE_ERROR:  # the stream's fault only
            await client.over(stream)
            assert client.answers[stream].reset == code
        else:
            assert await client.until_closed() == code


@pytest.mark.parametrize(("data", "code"), ON_CONTROL)
async def test_frames_of_the_control_stream(doors: Doors, data: bytes, code: ErrorCode) -> None:
    async with talking(doors.tls) as client:
        client.quic.send_stream_data(2, data)
        client.transmit()
        assert await client.until_closed() == code


@pytest.mark.parametrize(("data", "code"), NEW_STREAMS)
async def test_streams_that_may_not_be(doors: Doors, data: bytes, code: ErrorCode) -> None:
    async with talking(doors.tls) as client:
        client.raw_stream(data, one_way=True)
        assert await client.until_closed() == code


@pytest.mark.parametrize("stream", [2, 6, 10])
async def test_streams_that_must_not_end(doors: Doors, stream: int) -> None:
    async with talking(doors.tls) as client:
        client.quic.send_stream_data(stream, b"", end_stream=True)
        client.transmit()
        assert await client.until_closed() == ErrorCode.CLOSED_CRITICAL_STREAM


async def test_our_control_stream_must_not_be_stopped(doors: Doors) -> None:
    async with talking(doors.tls) as client:
        await client.get("/x")
        client.quic.stop_stream(3, ErrorCode.NO_ERROR)
        client.transmit()
        assert await client.until_closed() == ErrorCode.CLOSED_CRITICAL_STREAM


async def test_nothing_may_be_put_into_a_dynamic_table(doors: Doors) -> None:
    async with talking(doors.tls) as client:
        client.quic.send_stream_data(6, b"\x20\x20\x41a\x01b")
        client.transmit()
        assert await client.until_closed() == ErrorCode.ENCODER_STREAM_ERROR


async def test_what_is_unknown_is_passed_over(doors: Doors) -> None:
    async with talking(doors.tls) as client:
        unknown = write_varint(0x21) + write_varint(300) + bytes(300)
        client.quic.send_stream_data(2, unknown)
        other = client.raw_stream(b"\x21" + bytes(100), one_way=True)
        stream = client.raw_stream(unknown + HEAD + unknown + unknown, end=True)
        await client.over(stream)
        assert client.answers[stream].body == b"hello"
        await client.until(lambda: client.answers[other].stopped is not None)
        assert client.answers[other].stopped == ErrorCode.STREAM_CREATION_ERROR


async def test_a_request_without_a_head_is_incomplete(doors: Doors) -> None:
    async with talking(doors.tls) as client:
        stream = client.raw_stream(b"\x21\x00", end=True)
        await client.over(stream)
        assert client.answers[stream].reset == ErrorCode.REQUEST_INCOMPLETE
        assert (await client.get("/x")).body == b"hello"


async def test_a_head_in_many_pieces_and_trailers_of_a_request(doors: Doors) -> None:
    async with talking(doors.tls) as client:
        trailers = frame(Kind.HEADERS, b"\0\0\x21a\x01b")
        upload = frame(Kind.HEADERS, b"\0\0\xd4\xd7\x50\x01a\x51\x05/echo")
        data = b"\x21\x00" + upload + frame(Kind.DATA, b"ab") + trailers
        stream = client.raw_stream(data[:1])
        for at in range(1, len(data)):
            await asyncio.sleep(0.002)
            client.quic.send_stream_data(stream, data[at : at + 1], at == len(data) - 1)
            client.transmit()
        await client.over(stream)
        assert client.answers[stream].body.startswith(b"2 ")


async def test_who_leaves_is_seen_off(doors: Doors) -> None:
    async with talking(doors.tls) as client:
        stream = client.request("/slow?20,10")
        client.quic.send_stream_data(2, frame(Kind.GOAWAY, b"\0"))
        client.transmit()
        await client.until_closed()
        assert client.answers[stream].ended
        assert client.closed is not None
        assert client.closed.error_code == ErrorCode.NO_ERROR
