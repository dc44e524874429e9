"""Floods from a process of their own, while another client asks for a page now and then.

The limits are wide, as these machines are slow and shared; the figures are in docs/benchmarks.md.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from time import monotonic

import h2.errors
import pytest

from tests.server import rig, talk
from tests.server.attack import FLOODS

CALM = int(h2.errors.ErrorCodes.ENHANCE_YOUR_CALM)
# Seconds of each flood, and what another client's answer may take meanwhile.
_SECONDS, _PATIENCE = 0.5, 2.0


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with rig.served(tmp_path_factory.mktemp("toy")) as port:
        yield port


async def attacked(port: int, name: str) -> tuple[dict[str, object], list[float]]:
    """How the attack ended, and what others waited for their answers meanwhile, in seconds."""
    attack = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.server.attack", str(port), name, str(_SECONDS),
        cwd=rig.ROOT, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    said = asyncio.create_task(attack.communicate())
    waits = []
    while not said.done():
        begun = monotonic()
        assert await talk.get(port, "/x") == b"hello"
        waits.append(monotonic() - begun)
        await asyncio.sleep(0.02)
    out, _ = await said
    assert attack.returncode == 0
    return json.loads(out), waits


def resident(pid: int) -> int:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * 4096


@pytest.mark.parametrize("name", list(FLOODS))
async def test_floods_are_told_to_calm_down_and_do_not_hurt_others(port: int, name: str) -> None:
    pid = int(await talk.get(port, "/pid"))
    before = resident(pid)
    ended, waits = await attacked(port, name)
    assert ended["said"] == [CALM], ended
    assert ended["silent"] == 0
    assert median(waits) < _PATIENCE
    assert resident(pid) - before < 64 << 20
    running = json.loads(await talk.get(port, "/seen"))["running"]
    assert running <= 100


async def test_five_hundred_streams_with_closed_windows_hold_little(port: int) -> None:
    """Each stalls on a large body; what is held is what the app has handed over, 64 KiB here."""
    pid = int(await talk.get(port, "/pid"))
    before = resident(pid)
    clients = []
    try:
        for _ in range(5):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            client = talk.H2(reader, writer, window=False)
            clients.append(client)
            for _ in range(100):
                client.request("/trickle?1073741824")
        async with asyncio.timeout(60):
            for client in clients:
                while sum(len(one.body) for one in client.answers.values()) < 65535:
                    await client.read_some()
        await asyncio.sleep(0.5)
        assert resident(pid) - before < 500 * (128 << 10)
    finally:
        for client in clients:
            client.writer.close()
