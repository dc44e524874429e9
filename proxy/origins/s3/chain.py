"""The credential chain: environment, files, web identity, SSO, container, instance role.

aiobotocore knows all of it, and reads files and makes TLS contexts on the way, which would hold up
the event loop for tens of milliseconds. So each look runs in a thread with an event loop of its
own, from the beginning: that way a changed file counts too. Nothing found here is ever logged.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any, NamedTuple

from aiobotocore.session import AioSession
from botocore.exceptions import (
    BotoCoreError,
    ConfigNotFound,
    ConfigParseError,
    InvalidConfigError,
    PartialCredentialsError,
    ProfileNotFound,
    SSOTokenLoadError,
    UnauthorizedSSOTokenError,
)

from proxy.errors import HeadgateError
from proxy.origins.s3.signing import Keys

# A chain that gives nothing asks the instance metadata twice, 1 s each; STS takes below 1 s.
LOOK_TIMEOUT = 20.0

# Only these errors' texts are written by botocore itself; others may quote what a credential
# source answered.
_SAFE_TEXTS = (
    ConfigNotFound,
    ConfigParseError,
    InvalidConfigError,
    PartialCredentialsError,
    ProfileNotFound,
    SSOTokenLoadError,
    UnauthorizedSSOTokenError,
)

# The longest validity that is told apart: a day. No source gives credentials for longer.
_LONGEST = 24 * 3600


class NoCredentials(HeadgateError):
    """The chain found no credentials, or failed on the way. The text holds no secret."""


class Found(NamedTuple):
    """Credentials and for how many seconds from now they hold; None: they do not expire."""

    keys: Keys
    seconds_left: float | None


async def look(profile: str | None) -> Found:
    """Goes through the chain once; raises NoCredentials. When cancelled, ends its thread first."""
    errand = _Errand(profile)
    running = asyncio.ensure_future(asyncio.to_thread(errand.run))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        errand.stop()
        # The thread's loop ends at its next step; waiting for it leaves nothing behind.
        with contextlib.suppress(NoCredentials, asyncio.CancelledError):
            await running
        raise


class _Errand:
    """One look, in whatever thread calls `run`."""

    def __init__(self, profile: str | None) -> None:
        self._profile = profile
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[Any] | None = None
        self._stopped = False

    def run(self) -> Found:
        # A plain loop, whatever the server's is: child processes and signals stay out of it.
        with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
            return runner.run(self._bounded())

    def stop(self) -> None:
        self._stopped = True
        if self._loop is not None and self._task is not None:
            with contextlib.suppress(RuntimeError):  # it ended in this very moment
                self._loop.call_soon_threadsafe(self._task.cancel)

    async def _bounded(self) -> Found:
        self._task, self._loop = asyncio.current_task(), asyncio.get_running_loop()
        if self._stopped:
            raise NoCredentials("stopped")
        try:
            async with asyncio.timeout(LOOK_TIMEOUT):
                return await _found(self._profile)
        except TimeoutError:
            raise NoCredentials(f"no source answered in {LOOK_TIMEOUT:g} s") from None
        except NoCredentials:
            raise
        except Exception as error:  # noqa: BLE001  # botocore's providers raise KeyError and others
            raise NoCredentials(_safe_text(error)) from None


async def _found(profile: str | None) -> Found:
    session = AioSession(profile=profile)
    credentials = await session.get_credentials()
    if credentials is None:
        raise NoCredentials("none found")
    frozen = await credentials.get_frozen_credentials()
    keys = Keys(frozen.access_key, frozen.secret_key, frozen.token)
    return Found(keys, _seconds_left(credentials))


def _seconds_left(credentials: Any) -> float | None:  # noqa: ANN401  # botocore has no types
    """How long they hold. botocore only tells whether less than n seconds remain: halve for n."""
    if not hasattr(credentials, "refresh_needed") or not credentials.refresh_needed(10**10):
        return None
    low, high = 0, _LONGEST
    while low < high:
        middle = (low + high + 1) // 2
        if credentials.refresh_needed(middle):
            high = middle - 1
        else:
            low = middle
    return float(low)


def _safe_text(error: Exception) -> str:
    name = type(error).__name__
    if isinstance(error, _SAFE_TEXTS):
        return f"{name}: {' '.join(str(error).split())}"
    if isinstance(error, BotoCoreError):
        provider = error.kwargs.get("provider")
        return f"{name} of {provider}" if provider else name
    return name
