"""What checking costs: 1 GiB with and without, from memory and from a real store, and by slices.

    .venv/bin/python -m tests.benchmarks.verification [--rounds N] [--size MIB] [--program]

From memory: the layer alone, in this process. From SeaweedFS: the whole program on processor 0, the
store and the client (curl, which discards) on processor 1; each object is asked for by a mount that
does not check, twice by one that does, and again by the first: a round gives one ratio of each two,
of which the median counts (`tests.benchmarks.paired`). By slices: this process reads 8 MiB slices
of the store's object in a random order, four at a time, and combines their CRCs.
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

from proxy.integrity.checking import Checking, Policy
from proxy.integrity.checksums import digest_of, new_sum
from proxy.integrity.combination import combine
from proxy.integrity.rolling import make_pool
from proxy.integrity.verified import Verified
from proxy.origins.base import NO_BODY, WHOLE, OpenObject, Want
from proxy.origins.s3 import S3Options, S3Origin
from proxy.semantics.etags import EntityTag
from proxy.semantics.representation import Algorithm, Checksum, Representation, Span
from tests.benchmarks.paired import FEWEST, Pair, sure
from tests.benchmarks.processes import pin
from tests.benchmarks.streaming import CLIENT_CPU, PART, SERVER_CPU, Row
from tests.e2e.program import Headgate
from tests.servers.s3 import SeaweedFS

MIB = 1024 * 1024
GIB = 1024 * MIB
BUFFER = 128 * 1024  # about what a socket gives at once
SLICE = 8 * MIB
BOUND = 0.95  # of the rate without checks
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
    parser.add_argument("--rounds", type=int, default=12, help=f"from {FEWEST} on they decide")
    parser.add_argument("--size", type=int, default=1024, help="MiB")
    parser.add_argument("--program", action="store_true", help="only the whole program")
    arguments = parser.parse_args()
    size = arguments.size * MIB
    parts = [os.urandom(PART) for _ in range(4)]
    print(f"load average {os.getloadavg()[0]:.1f}")
    if not arguments.program:
        asyncio.run(_from_memory(parts, size, arguments.rounds))
    with ExitStack() as stack:
        store = stack.enter_context(SeaweedFS())
        for algorithm, kind in STORED:
            _upload(store, f"{algorithm}-{kind}", list(_cycle(parts, size)), algorithm, kind)
        _through_the_program(stack, store, size, arguments.rounds)
        if not arguments.program:
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

    def row(name: str, mode: str) -> Row:
        return Row(f"{name}, {mode}", f"{ours.url}/{mode}/{name}", lambda: ours.pid)

    names = [f"{algorithm}-{kind}" for algorithm, kind in STORED]
    pairs = [Pair(name, row(name, "unchecked"), row(name, "checked")) for name in names]
    for number in range(rounds + 1):
        for pair in pairs:
            pair.run(size)
            if number == 0:  # the first round warms the page cache and the connections
                pair.clear()
    _report(pairs)


def _report(pairs: list[Pair]) -> None:
    """Each pair's ratios, with the interval of the rounds. The rates decide on a quiet machine;
    on a busy one they say little, and processor time hardly less than ever."""
    heads = ("from SeaweedFS", "MB/s", "unchecked", "CPU s/GiB", "unchecked")
    ratios = ("MB/s of unchecked", "by CPU", f"at least {BOUND}: by MB/s, by CPU")
    print(f"\n| {' | '.join((*heads, *ratios))} |\n{'| --- ' * 8}|")
    for pair in pairs:
        rows, by = (pair.other, pair.plain), (sure(pair.speeds), sure(pair.costs))
        figures = [f"{median(row.speeds):.0f}" for row in rows]
        figures += [f"{median(row.costs) * GIB / 1e9:.3f}" for row in rows]
        decided = ", ".join(one.is_at_least(BOUND) for one in by)
        print(f"| {' | '.join((pair.name, *figures, *map(str, by), decided))} |", flush=True)


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
