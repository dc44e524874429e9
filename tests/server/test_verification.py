"""Checked bodies at the public door: what the client sees, and what is logged."""

from __future__ import annotations

import logging

import pytest

from proxy.errors import ChecksumMismatch
from proxy.integrity.checking import Checking, Policy
from proxy.integrity.rolling import make_pool
from proxy.integrity.verified import Verified
from proxy.observability.access_log import AccessRecord, as_json
from proxy.origins.base import Origin
from proxy.origins.memory import MemoryOrigin, StoredObject
from proxy.semantics.representation import Checksum, Representation
from proxy.semantics.routing import Mount
from proxy.server.app import PublicDoor
from proxy.server.delivery import Site
from tests.integrity.objects import checksum_of, flipped, stored
from tests.server.asgi import Client

SMALL = b"0123456789" * 100
LARGE = bytes(range(256)) * 2000
OBJECTS = {
    "good": stored(SMALL, checksum_of("crc64nvme", SMALL)),
    "bad": stored(flipped(SMALL, 4321), checksum_of("crc64nvme", SMALL)),
    "large": stored(LARGE, checksum_of("sha256", LARGE)),
    "bad-large": stored(flipped(LARGE, 4321), checksum_of("sha256", LARGE)),
    "unknown": stored(SMALL),
    "empty": StoredObject(b"", Representation(0, checksums=(Checksum("crc32c", b"abcd"),))),
    "coded": stored(SMALL),
    "coded.br": stored(SMALL, checksum_of("sha1", SMALL)),
    "502.html": stored(b"our 502", checksum_of("md5", b"our 502")),
}
POOL = make_pool()


@pytest.fixture
def client() -> Client:
    """Each way of checking at a path of its own, all over one origin."""
    memory = MemoryOrigin(OBJECTS)
    policies: tuple[Policy, ...] = ("require", "when-available", "off")
    layers: dict[str, Origin] = {
        name: Verified(memory, Checking(name, POOL, name="memory")) for name in policies
    }
    mounts = [Mount(f"/{name}/", "memory", codings=("br",), source=name) for name in layers]
    mounts.append(Mount("/pages/", "memory", error_pages={502: "502.html"}, source="require"))
    return Client(PublicDoor(Site(mounts, [], layers), stall_timeout=60))


@pytest.fixture(autouse=True)
def _log_everything(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "headgate")


def verification(caplog: pytest.LogCaptureFixture) -> object:
    [record] = [one.access for one in caplog.records if hasattr(one, "access")]
    assert isinstance(record, AccessRecord)
    assert record.origin in ("memory", "")
    return as_json(record).get("verification")


@pytest.mark.parametrize(
    ("target", "fields", "status", "logged"),
    [
        ("/when-available/good", {}, 200, "crc64nvme verified"),
        ("/when-available/good", {"range": "bytes=0-"}, 206, "crc64nvme verified"),
        ("/when-available/good", {"range": "bytes=3-5"}, 206, "unverified: range"),
        ("/when-available/good", {"range": "bytes=3-5,9-9"}, 206, "unverified: range"),
        ("/when-available/unknown", {}, 200, "unverified: no checksum"),
        ("/when-available/coded", {"accept-encoding": "br"}, 200, "sha1 verified"),
        ("/when-available/good", {"if-none-match": '"v1"'}, 304, None),
        ("/require/large", {}, 200, "sha256 verified"),
        ("/require/large", {"range": "bytes=3-5"}, 206, "sha256 verified"),
        ("/require/good", {"range": "bytes=3-5,9-9"}, 206, "crc64nvme verified"),
        ("/off/bad", {}, 200, "unverified: off"),
    ],
)
async def test_what_passes(
    client: Client,
    caplog: pytest.LogCaptureFixture,
    target: str,
    fields: dict[str, str],
    status: int,
    logged: str | None,
) -> None:
    reply = await client.request("GET", target, fields)
    assert (reply.status, reply.complete) == (status, True)
    assert verification(caplog) == logged


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("fields", [{}, {"range": "bytes=0-3"}])
async def test_what_can_not_be_checked_is_refused_where_it_must_be(
    client: Client, method: str, fields: dict[str, str]
) -> None:
    reply = await client.request(method, "/require/unknown", fields)
    assert reply.status == 502
    assert (b"can't be checked" in reply.body) == (method == "GET")


@pytest.mark.parametrize("target", ["/when-available/bad", "/require/bad", "/require/empty"])
async def test_a_small_damaged_object_is_answered_with_a_status(
    client: Client, caplog: pytest.LogCaptureFixture, target: str
) -> None:
    reply = await client.get(target)
    assert reply.status == 502
    assert reply.complete
    assert SMALL[:20] not in reply.body
    if target != "/require/empty":  # that one was not even opened
        assert verification(caplog) == "crc64nvme mismatch"


async def test_its_error_page_does_not_hide_what_was_wrong(
    client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    reply = await client.get("/pages/bad")
    assert (reply.status, reply.body) == (502, b"our 502")
    assert verification(caplog) == "crc64nvme mismatch"


async def test_a_large_damaged_object_is_broken_off(
    client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(ChecksumMismatch):
        await client.get("/when-available/bad-large")
    assert client.reply.status == 200
    assert not client.reply.complete
    assert len(client.reply.body) < len(LARGE)
    assert verification(caplog) == "sha256 mismatch"
