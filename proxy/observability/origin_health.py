"""Whether each origin answers: looked at every few seconds, by asking for an object that is hardly
there. "No such object" and "not allowed" are answers too; only silence is none.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping

from proxy.errors import Fault, OriginTimeout, OriginUnreachable
from proxy.observability import metrics as names
from proxy.observability.meters import Meters
from proxy.origins.base import NO_BODY, Origin

logger = logging.getLogger("headgate")

PROBE_KEY = "headgate-probe"
# Seconds: between two looks, after one that failed, and for a look.
LOOK_EVERY, LOOK_AGAIN, LOOK_TIMEOUT = 10.0, 2.0, 5.0
# Looks in a row that must fail, since one lost packet is no outage.
FAILURES = 2


async def answers(origin: Origin) -> bool:
    """Whether the origin answers now."""
    try:
        async with asyncio.timeout(LOOK_TIMEOUT):
            opened = await origin.open(PROBE_KEY, NO_BODY)
    except (TimeoutError, OriginTimeout, OriginUnreachable):
        return False
    except Fault:
        return True
    await opened.aclose()
    return True


class OriginHealth:
    """Looks at each origin in a task of its own. `start`, then `aclose`."""

    def __init__(self, origins: Mapping[str, Origin], meters: Meters) -> None:
        self._origins = origins
        self._meters = meters
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begins to look, at once for the first time."""
        origins = self._origins.items()
        self._tasks = [asyncio.create_task(self._watch(name, one)) for name, one in origins]

    async def aclose(self) -> None:
        """Stops looking."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []

    async def _watch(self, name: str, origin: Origin) -> None:
        failures = 0
        while True:
            failures = 0 if await self._look(name, origin) else failures + 1
            self._note(name, failures)
            await asyncio.sleep(LOOK_AGAIN if failures == 1 else LOOK_EVERY)

    async def _look(self, name: str, origin: Origin) -> bool:
        try:
            return await answers(origin)
        except Exception:
            logger.exception("origins.%s: looking whether it answers failed", name)
            return False

    def _note(self, name: str, failures: int) -> None:
        if failures == FAILURES:
            logger.warning("origins.%s: it does not answer", name)
        if failures == 0 or failures >= FAILURES:
            self._meters.put(names.ORIGIN_UP, int(failures == 0), name)
