"""`headgate verify`: checks objects of the configured origins against their stored checksums.

Results go to standard output, a line each; the bar of progress and the summary to standard error.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from time import monotonic
from typing import Final

from proxy.config import Settings
from proxy.errors import ConfigurationError, StartError
from proxy.integrity.checking import Checking
from proxy.integrity.rolling import make_pool
from proxy.integrity.sweep import Progress, Result, sweep
from proxy.integrity.targets import NoTarget, Target, target_of
from proxy.integrity.telling import as_bar, as_json, as_line, as_summary
from proxy.integrity.verified import Verified
from proxy.layered import make_origin, with_layers
from proxy.observability.meters import Meters
from proxy.site import mounts_of

_BAR_EVERY: Final = 0.2  # seconds
_ERASE: Final = "\r\x1b[K"


@dataclass(frozen=True, slots=True)
class Errand:
    """What the command was asked for.

    Attributes:
        targets: keys, prefixes, public paths and URLs, as typed.
        origin: whose keys they are, or None.
        deep: whether objects are also read in ranges.
        as_json: whether results are JSON lines.
    """

    targets: Sequence[str]
    origin: str | None = None
    deep: bool = False
    as_json: bool = False


def verify(settings: Settings, errand: Errand) -> bool:
    """Checks all that is asked for; whether nothing was damaged and all could be read.

    Raises ConfigurationError for a target that names nothing, and StartError.
    """
    # What is logged meanwhile is also in the results; without a handler, Python would print it.
    logging.getLogger("headgate").addHandler(logging.NullHandler())
    targets = [_target(text, settings, errand.origin) for text in errand.targets]
    telling = _Telling(as_json=errand.as_json)
    asyncio.run(_verify(settings, targets, telling, deep=errand.deep))
    return telling.all_well


def _target(text: str, settings: Settings, chosen: str | None) -> Target:
    try:
        return target_of(text, mounts_of(settings), settings.origins, chosen)
    except NoTarget as error:
        raise ConfigurationError(f"headgate verify: {error}") from None


async def _verify(
    settings: Settings, targets: Sequence[Target], telling: _Telling, *, deep: bool
) -> None:
    names = sorted({target.origin for target in targets})
    async with AsyncExitStack() as stack:
        origins = {name: await stack.enter_async_context(_opened(settings, name)) for name in names}
        bar = asyncio.create_task(telling.show_progress())
        stack.callback(bar.cancel)
        for name, origin in origins.items():
            keys = [target.key for target in targets if target.origin == name]
            telling.origin = name
            await sweep(origin, keys, telling.tell, telling.progress, deep=deep)
    telling.sum_up()


@asynccontextmanager
async def _opened(settings: Settings, name: str) -> AsyncIterator[Verified]:
    """A started origin, as it is served: what a store breaks off is gone on with."""
    table = settings.origins[name]
    origin = with_layers(name, table, make_origin(table), Meters())
    with make_pool() as pool:
        try:
            try:
                await origin.start()
            except StartError as error:
                raise StartError(f"origins.{name}: {error}") from None
            yield Verified(origin, Checking("when-available", pool, name=name))
        finally:
            await origin.aclose()


class _Telling:
    """Prints results as they come, and a bar below them where standard error is a terminal."""

    def __init__(self, *, as_json: bool) -> None:
        self.progress = Progress()
        self.origin = ""
        self._as_json = as_json
        self._begun = monotonic()
        self._counts: Counter[str] = Counter()
        self._erase = _ERASE if sys.stderr.isatty() else ""

    @property
    def all_well(self) -> bool:
        """Whether nothing was damaged and all could be read."""
        return not (self._counts["mismatch"] or self._counts["failed"])

    def tell(self, result: Result) -> None:
        """Prints one result."""
        self._counts[result.outcome] += 1
        sys.stderr.write(self._erase)
        line = as_json(self.origin, result) if self._as_json else as_line(result)
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()

    async def show_progress(self) -> None:
        """Redraws the bar until it is cancelled."""
        while self._erase:
            bar = as_bar(self.progress, monotonic() - self._begun)
            sys.stderr.write(f"{self._erase}{bar}")
            sys.stderr.flush()
            await asyncio.sleep(_BAR_EVERY)

    def sum_up(self) -> None:
        """Prints what all of it came to."""
        said = as_summary(self._counts, self.progress, monotonic() - self._begun)
        sys.stderr.write(f"{self._erase}{said}\n")
