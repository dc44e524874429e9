"""What checking costs: 1 GiB with and without, from memory and from a real store, and by slices.

    .venv/bin/python -m tests.benchmarks.verification [--rounds N] [--size MIB]

From memory: the layer alone, in this process. From SeaweedFS: the whole program on processor 0, the
store and the client (curl, which discards) on processor 1; each object is asked for by a mount that
checks and one that does not, in turn. By slices: this process reads 8 MiB slices of the store's
object in a random order, four at a time, and combines their CRCs.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import os
import random
import time
from collections.abc import AsyncGenerator, Iterator
from concurrent.futures import Executor
from contextlib import ExitStack, aclosing
from statistics import median

from proxy.integrity.checksums import digest_of, new_sum
from proxy.integrity.combination import combine
from proxy.integrity.rolling import make_pool
from proxy.integrity.verified import Checking, Policy, Verified
from proxy.origins.base import NO_BODY, WHOLE, OpenObject, Want
from proxy.origins.s3 import S3Options, S3Origin
from proxy.semantics.etags import EntityTag
from proxy.semantics.representation import Algorithm, Checksum, Representation, Span
from tests.benchmarks.processes import pin
from tests.benchmarks.streaming import CLIENT_CPU, PART, SERVER_CPU, Row
from tests.e2e.program import Headgate
from tests.servers.s3 import SeaweedFS

MIB = 1024 * 1024
GIB = 1024 * MIB
BUFFER = 128 * 1024  # about what a socket gives at once
SLICE = 8 * MIB
ALGORITHMS: tuple[Algorithm, ...] = ("crc64nvme", "crc32c", "crc32", "sha256", "sha1", "md5")
# What an upload in parts is promised by: a CRC of the whole, or a SHA-256 of the parts.
STORED: tuple[tuple[Algorithm, str], ...] = (
    ("crc64nvme", "FULL_OBJECT"),
    ("crc32c", "FULL_OBJECT"),
    ("crc32c", "COMPOSITE"),
    ("sha256", "COMPOSITE"),
)


def main() -> None:
    """Runs all three and prints tables for docs/integrity.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--size", type=int, default=1024, help="MiB")
    arguments = parser.parse_args()
    size = arguments.size * MIB
    parts = [os.urandom(PART) for _ in range(4)]
    print(f"load average {os.getloadavg()[0]:.1f}")
    asyncio.run(_from_memory(parts, size, arguments.rounds))
    with ExitStack() as stack:
        store = stack.enter_context(SeaweedFS())
        for algorithm, kind in STORED:
            _upload(store, f"{algorithm}-{kind}", list(_cycle(parts, size)), algorithm, kind)
        _through_the_program(stack, store, size, arguments.rounds)
        asyncio.run(_by_slices(store, arguments.rounds))
    print(f"load average {os.getloadavg()[0]:.1f}")


def _cycle(parts: list[bytes], size: int) -> Iterator[bytes]:
    for start in range(0, size, PART):
        yield parts[start // PART % len(parts)][: size - start]


# --- from memory ------------------------------------------------------------------------------


class _Repeating:
    """An origin with one large object that takes no memory: buffers of a few parts, in turn."""

    def __init__(self, parts: list[bytes], representation: Representation) -> None:
        self._buffers = [
            part[start : start + BUFFER] for part in parts for start in range(0, PART, BUFFER)
        ]
        self.representation = representation

    async def start(self) -> None: ...
    async def aclose(self) -> None: ...

    async def open(self, key: str, want: Want = WHOLE) -> OpenObject:
        return self

    async def read(self, span: Span) -> AsyncGenerator[bytes, None]:
        for number in range(span.length // BUFFER):
            yield self._buffers[number % len(self._buffers)]


async def _from_memory(parts: list[bytes], size: int, rounds: int) -> None:
    seconds: dict[str, list[tuple[float, float]]] = {}
    with make_pool() as pool:
        for _ in range(rounds):
            for algorithm in (*ALGORITHMS, None):
                took = await _read_once(parts, size, algorithm, pool)
                seconds.setdefault(algorithm or "not checked", []).append(took)
    print("\n| from memory | GiB/s | CPU s/GiB |\n| --- | --- | --- |")
    for name, taken in seconds.items():
        wall, cpu = (median(column) / (size / GIB) for column in zip(*taken, strict=True))
        print(f"| {name} | {1 / wall:.2f} | {cpu:.3f} |", flush=True)


async def _read_once(
    parts: list[bytes], size: int, algorithm: Algorithm | None, pool: Executor
) -> tuple[float, float]:
    """Seconds, and seconds of processor time."""
    known = Representation(size, EntityTag("a"), checksums=_promised(parts, size, algorithm))
    policy: Policy = "require" if algorithm else "off"
    opened = await Verified(_Repeating(parts, known), Checking(policy, pool)).open("a")
    begun, cpu = time.perf_counter(), time.process_time()
    async with aclosing(opened.read(Span(0, size))) as buffers:
        async for _ in buffers:
            pass
    return time.perf_counter() - begun, time.process_time() - cpu


_PROMISES: dict[Algorithm, Checksum] = {}


def _promised(parts: list[bytes], size: int, algorithm: Algorithm | None) -> tuple[Checksum, ...]:
    if algorithm is None:
        return ()
    if algorithm not in _PROMISES:
        total = new_sum(algorithm)
        for part in _cycle(parts, size):
            total.update(part)
        _PROMISES[algorithm] = Checksum(algorithm, total.digest())
    return (_PROMISES[algorithm],)


# --- from a store -----------------------------------------------------------------------------


def _upload(
    store: SeaweedFS, key: str, parts: list[bytes], algorithm: Algorithm, kind: str
) -> None:
    """As `Uploads.put_multipart`, with checksums that are computed fast."""
    client, target = store.uploads.client, {"Bucket": store.bucket, "Key": key}
    name = algorithm.upper()
    upload = client.create_multipart_upload(**target, ChecksumAlgorithm=name, ChecksumType=kind)
    target["UploadId"] = upload["UploadId"]
    done = []
    for number, part in enumerate(parts, start=1):
        value = base64.b64encode(digest_of(algorithm, part)).decode()
        promised = {f"Checksum{name}": value}
        answer = client.upload_part(**target, PartNumber=number, Body=part, **promised)
        done.append({"PartNumber": number, "ETag": answer["ETag"], **promised})
    client.complete_multipart_upload(**target, MultipartUpload={"Parts": done}, ChecksumType=kind)


def _through_the_program(stack: ExitStack, store: SeaweedFS, size: int, rounds: int) -> None:
    ours = stack.enter_context(Headgate(_configuration(store)))
    pin(store.pid, CLIENT_CPU)
    pin(ours.pid, SERVER_CPU)
    rows = [
        Row(
            f"{algorithm}, {kind}, {mode}",
            f"{ours.url}/{mode}/{algorithm}-{kind}",
            lambda: ours.pid,
        )
        for algorithm, kind in STORED
        for mode in ("checked", "unchecked")
    ]
    for number in range(rounds + 1):
        for row in rows if number % 2 else reversed(rows):
            row.run(size)
        if number == 0:  # the first round warms the page cache and the connections
            for row in rows:
                row.speeds.clear()
                row.costs.clear()
    _report(rows)


def _report(rows: list[Row]) -> None:
    """Pairs of a checked and an unchecked row. What shares the machine only ever slows a round, so
    the best rounds compare the two ways, where the medians compare two samples of the noise."""
    print("\n| from SeaweedFS | MB/s, median | best | CPU s/GiB | best / best unchecked |")
    print("| --- | --- | --- | --- | --- |")
    for row, beside in zip(rows[::2], rows[1::2], strict=True):
        ratio = max(row.speeds) / max(beside.speeds)
        for one, said in ((row, f"{ratio:.2f}"), (beside, "")):
            speeds = f"{median(one.speeds):.0f} | {max(one.speeds):.0f}"
            cost = median(one.costs) * GIB / 1e9
            print(f"| {one.name} | {speeds} | {cost:.2f} | {said} |", flush=True)


def _configuration(store: SeaweedFS) -> str:
    return f"""
[server]
bind = ["127.0.0.1:0"]
[admin]
bind = ""
[log]
access = false
[origins.media]
type = "s3"
endpoint = "{store.endpoint}"
bucket = "{store.bucket}"
access_key_id = "{store.access_key_id}"
secret_access_key = "{store.secret_access_key}"
[[mounts]]
path = "/checked/"
origin = "media"
verify = "require"
[[mounts]]
path = "/unchecked/"
origin = "media"
verify = "off"
"""


# --- by slices --------------------------------------------------------------------------------


async def _by_slices(store: SeaweedFS, rounds: int) -> None:
    origin = S3Origin(
        S3Options(
            bucket=store.bucket, endpoint=store.endpoint, region=store.region,
            access_key_id=store.access_key_id, secret_access_key=store.secret_access_key,
        )
    )  # fmt: skip
    await origin.start()
    try:
        opened = await origin.open("crc64nvme-FULL_OBJECT", NO_BODY)
        sums, alls = [], []
        for _ in range(rounds):
            cpu = time.process_time()
            sums.append(await _slices_once(opened))
            alls.append(time.process_time() - cpu)
    finally:
        await origin.aclose()
    size = opened.representation.size
    count = -(-size // SLICE)
    print(
        f"\n{count} slices out of order, combined: equal to the stored CRC64NVME in {rounds} of"
        f" {rounds} rounds; checksums and their combination {median(sums) * GIB / size * 1000:.0f}"
        f" ms of CPU per GiB, with reading them {median(alls) * GIB / size:.2f} s"
    )


async def _slices_once(opened: OpenObject) -> float:
    """Reads and combines; seconds that the checksums took. Raises if the result is wrong."""
    size = opened.representation.size
    spans = [Span(start, min(start + SLICE, size)) for start in range(0, size, SLICE)]
    random.shuffle(spans)
    found: list[tuple[Span, bytes]] = []
    took = 0.0

    async def read_some() -> None:
        nonlocal took
        while spans:
            span, total = spans.pop(), new_sum("crc64nvme")
            async with aclosing(opened.read(span)) as buffers:
                async for buffer in buffers:
                    begun = time.perf_counter()
                    total.update(buffer)
                    took += time.perf_counter() - begun
            found.append((span, total.digest()))

    async with asyncio.TaskGroup() as group:
        for _ in range(4):
            group.create_task(read_some())
    begun = time.perf_counter()
    [stored] = [one for one in opened.representation.checksums if one.algorithm == "crc64nvme"]
    if combine("crc64nvme", found) != stored.value:
        raise RuntimeError("the slices together are not what the store promised")
    return took + time.perf_counter() - begun


if __name__ == "__main__":
    main()
