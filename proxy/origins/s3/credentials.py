"""Who signs: fixed keys, nobody, or what the chain gave last, refreshed in the background.

A request never waits for a refresh. While refreshing fails, the last keys serve until they
expire; from then on the origin refuses, and says so as a fault of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import Awaitable, Callable

from proxy.errors import OriginRefused, StartError
from proxy.origins.s3.chain import Found, NoCredentials
from proxy.origins.s3.signing import Keys

Look = Callable[[], Awaitable[Found]]

# The system's: it needs no seed, and forked workers must not refresh in step.
_CHANCE = random.SystemRandom()
_log = logging.getLogger(__name__)

# Sources hand out new credentials from about a quarter of an hour before the old ones end.
_LEAD = 15 * 60.0
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 60.0
# When the store calls keys stale that are not due, look again; but not more often than this.
_LEAST_BETWEEN_DOUBTS = 30.0

_HELP = (
    "set access_key_id and secret_access_key, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or "
    "a profile, or run with a web identity, container or instance role; unsigned = true asks "
    "without credentials"
)


class Credentials:
    """The keys to sign with. `aclose` ends the refresh.

    Args:
        fixed: keys that never change, or None.
        look: goes through the chain; None with `fixed` None means unsigned.
    """

    def __init__(self, fixed: Keys | None, look: Look | None = None) -> None:
        self._keys = fixed
        self._look = look
        self._expiry: float | None = None
        self._task: asyncio.Task[None] | None = None
        self._doubted = asyncio.Event()
        self._last_doubt = -_LEAST_BETWEEN_DOUBTS

    async def start(self) -> None:
        """Gets the first keys and keeps them fresh; raises StartError that says what to set."""
        if self._look is None:
            return
        try:
            found = await self._look()
        except NoCredentials as error:
            raise StartError(f"no credentials for S3 ({error}): {_HELP}") from None
        self._take(found)
        self._task = asyncio.create_task(self._refresh(self._look), name="s3-credentials")

    def current(self) -> Keys | None:
        """The keys of this moment, None to go unsigned; raises OriginRefused if they expired."""
        if self._expiry is not None and time.time() >= self._expiry:
            raise OriginRefused("the credentials have expired and could not be refreshed")
        return self._keys

    def doubt(self) -> None:
        """Says that the store called the keys stale: they are looked up again soon."""
        now = time.monotonic()
        if now - self._last_doubt >= _LEAST_BETWEEN_DOUBTS:
            self._last_doubt = now
            self._doubted.set()

    async def aclose(self) -> None:
        """Ends the refresh."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    def _take(self, found: Found) -> None:
        self._keys = found.keys
        self._expiry = None if found.seconds_left is None else time.time() + found.seconds_left

    async def _refresh(self, look: Look) -> None:
        failures = 0
        while True:
            await self._pause(failures)
            self._doubted.clear()
            try:
                self._take(await look())
                failures = 0
            except NoCredentials as error:
                failures += 1
                _log.warning("S3 credentials could not be refreshed: %s", error)

    async def _pause(self, failures: int) -> None:
        left = None if self._expiry is None else self._expiry - time.time()
        try:
            async with asyncio.timeout(pause_before_refresh(left, failures, _CHANCE.random())):
                await self._doubted.wait()
        except TimeoutError:
            pass


def pause_before_refresh(left: float | None, failures: int, chance: float) -> float | None:
    """Seconds until the next look; None: only when in doubt. `chance` from 0 to 1 spreads them.

    In good time before the end (`left` seconds away), after failures soon and then less often.
    """
    spread = 0.75 + chance / 2
    if failures:
        return min(_FIRST_PAUSE * 2.0 ** min(failures - 1, 10), _LONGEST_PAUSE) * spread
    if left is None:
        return None
    lead = min(_LEAD, left / 2) * spread
    return max(_FIRST_PAUSE, left - lead)
