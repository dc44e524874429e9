"""Downloads through a lying store: none that looks complete may be wrong.

    python -m tests.faults.campaign --downloads 10000 --seed 1 [--require] [--cache]

A random fault, size, range, protocol and pace for each; through the whole program, and then the
very same ones through nginx. With `--cache`, through the cache: three in four objects are purged
before they are asked for, so that their slices come from the store, and one in four is given from
what came of all before. Prints a table, and ends with 1 if Headgate gave a wrong body, or made up
for less than 99.9 % of what can be made up for. docs/integrity.md keeps the figures.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx

from tests.faults.control import Faults
from tests.faults.downloads import Client, draws_slow
from tests.faults.drawing import Asked, Drawn, draw_asked, draw_fault, is_cold, of_slices
from tests.faults.objects import Thing, draw_things, put_thing
from tests.faults.report import Tally, summary, table
from tests.faults.servers import (
    CACHE,
    GENEROUS,
    REQUIRED,
    SLICE,
    Targets,
    headgate,
    nginx,
    raw_requests,
)
from tests.servers import SeaweedFS

# Enough to keep two cores busy while some of them wait for a stall.
USERS = 12
# The operator's door takes eight at a time.
PURGES = 4
# Ranges of objects of up to two slices are checked by reading all of it into the cache.
KEPT_THROUGH = 2 * SLICE
GOAL = 0.999


@dataclass(frozen=True, slots=True)
class Download:
    """One download, all of it drawn beforehand, so that it can be done again elsewhere."""

    number: int
    asked: Asked
    drawn: Drawn
    protocol: int
    slow: bool
    cold: bool = False

    def __str__(self) -> str:
        thing = self.asked.thing
        pace = "slow" if self.slow else "quick"
        return (
            f"download {self.number}: {thing.key} of {thing.size} bytes, {thing.kind}, "
            f"{self.asked.field or 'whole'}, HTTP/{self.protocol}, {pace}"
            f"{', purged before' if self.cold else ''}; {_short(self.drawn)}"
        )


def _short(drawn: Drawn) -> str:
    return str([(act.head, act.end, act.at, act.flip, act.longer, act.put) for act in drawn.acts])


class Draw:
    """Downloads as the seed and their number decide, whatever came before them.

    `slices` draws faults for a proxy that asks for slices, and which objects it is to forget.
    """

    def __init__(
        self, seed: int, things: Sequence[Thing], faults: Faults, *, slices: bool = False
    ) -> None:
        self._seed = seed
        self._things = things
        self._store = raw_requests(faults)
        self._slices = slices

    def download(self, number: int) -> Download:
        """That one. The things come in turn."""
        chance = random.Random(f"{self._seed}/{number}")
        asked = draw_asked(chance, self._things[number % len(self._things)])
        drawn = draw_fault(chance, asked, self._store)
        one = Download(number, asked, drawn, chance.choice((1, 2)), draws_slow(chance))
        if not self._slices:
            return one
        drawn = of_slices(chance, drawn, asked, SLICE)
        return replace(one, drawn=drawn, cold=is_cold(chance))


class Purges:
    """Has a Headgate forget objects, and knows of which it may keep something untrue.

    Bytes that a hidden fault spoiled: no store's checksum tells of a range of an object that is
    larger than two slices. Or what a lie said of the object, which nothing gives away before it is
    asked for again.
    """

    def __init__(self, admin_url: str) -> None:
        # A kept connection may be closed just when it is used again.
        alone = httpx.Limits(max_keepalive_connections=0)
        self._client = httpx.AsyncClient(
            base_url=admin_url, timeout=60, trust_env=False, limits=alone
        )
        self._some = asyncio.Semaphore(PURGES)
        self._spoiled: set[str] = set()
        self._lied_about: set[str] = set()

    async def before(self, download: Download) -> Drawn:
        """Purges the object if it has to be asked of the store; what is drawn, as it is known
        now."""
        thing, drawn = download.asked.thing, download.drawn
        if download.cold:
            await self._purge(thing.key)
        if drawn.hidden and thing.size > KEPT_THROUGH:
            self._spoiled.add(thing.key)
        recoverable = drawn.recoverable and thing.key not in self._lied_about
        if drawn.acts and not drawn.recoverable:
            self._lied_about.add(thing.key)
        return replace(drawn, hidden=thing.key in self._spoiled, recoverable=recoverable)

    async def _purge(self, key: str) -> None:
        async with self._some:
            asked = {"kind": "key", "value": key, "origin": "media"}
            answer = await self._client.post("/cache/purge", json=asked)
        if answer.status_code != 200:
            raise RuntimeError(f"a purge was answered {answer.status_code}: {answer.text}")
        self._spoiled.discard(key)
        self._lied_about.discard(key)

    async def aclose(self) -> None:
        """Closes the connections."""
        await self._client.aclose()


@dataclass
class Run:
    """One proxy's downloads. `target_of` says how it is asked for a thing, `admin_url` where it
    purges, if it keeps anything."""

    faults: Faults
    urls: tuple[str, str]
    target_of: Callable[[Thing], str]
    admin_url: str = ""
    purges: Purges | None = None
    taken: defaultdict[str, asyncio.Lock] = field(default_factory=lambda: defaultdict(asyncio.Lock))

    async def do(self, downloads: int, draw: Draw, tally: Tally) -> None:
        """All of them, by several users at once."""
        numbers = iter(range(downloads))
        self.purges = Purges(self.admin_url) if self.admin_url else None
        try:
            async with asyncio.TaskGroup() as users:
                for _ in range(min(USERS, downloads)):
                    users.create_task(self._user(numbers, draw, tally))
        finally:
            if self.purges is not None:
                await self.purges.aclose()

    async def _user(self, numbers: Iterator[int], draw: Draw, tally: Tally) -> None:
        client = Client(self.urls)
        try:
            for number in numbers:
                download = draw.download(number)
                async with self.taken[download.asked.thing.key]:  # it has one plan at a time
                    await self._download(client, download, tally)
        finally:
            await client.aclose()

    async def _download(self, client: Client, download: Download, tally: Tally) -> None:
        thing, drawn = download.asked.thing, download.drawn
        if self.purges is not None:
            drawn = await self.purges.before(download)
        self.faults.plan(thing.key, *drawn.acts, rest=drawn.rest)
        ended = await client.get(
            self.target_of(thing), download.asked, protocol=download.protocol, slow=download.slow
        )
        tally.asked += bool(self.faults.take(thing.key)["requests"])
        if drawn.replaces:
            store = self.faults.store
            await asyncio.to_thread(put_thing, store.uploads, store.bucket, thing)
        tally.add(drawn, ended, str(download))


def put_all(faults: Faults, things: Sequence[Thing]) -> None:
    """Puts the objects, some at a time."""
    with ThreadPoolExecutor(4) as pool:
        uploads, bucket = faults.store.uploads, faults.store.bucket
        list(pool.map(lambda thing: put_thing(uploads, bucket, thing), things))


def through_headgate(
    faults: Faults, downloads: int, seed: int, things: Sequence[Thing], *, more: str = GENEROUS
) -> Tally:
    """The downloads through the whole program. `more` goes into its configuration."""
    tally = Tally()
    with headgate(faults, more=more) as program:
        run = Run(faults, (program.url, program.url), lambda thing: "/" + thing.key)
        asyncio.run(run.do(downloads, Draw(seed, things, faults), tally))
    if faults.asked_the_canary():
        tally.notes.append("the canary was asked: a redirect was followed")
    return tally


def through_the_cache(
    faults: Faults, downloads: int, seed: int, things: Sequence[Thing], *, more: str = GENEROUS
) -> Tally:
    """As `through_headgate`, with slices kept in a directory."""
    tally = Tally()
    with TemporaryDirectory(prefix="headgate-campaign-") as directory:
        table = CACHE.format(directory=Path(directory) / "slices")
        with headgate(faults, more=more + table, admin="127.0.0.1:0") as program:
            urls, admin = (program.url, program.url), program.admin_url
            run = Run(faults, urls, lambda thing: "/" + thing.key, admin)
            draw = Draw(seed, things, faults, slices=True)
            asyncio.run(run.do(downloads, draw, tally))
    if faults.asked_the_canary():
        tally.notes.append("the canary was asked: a redirect was followed")
    return tally


def through_nginx(faults: Faults, downloads: int, seed: int, things: Sequence[Thing]) -> Tally:
    """The same through nginx."""
    tally, targets = Tally(), Targets(faults)
    try:
        with nginx(faults) as urls:
            run = Run(faults, urls, targets)
            asyncio.run(run.do(downloads, Draw(seed, things, faults), tally))
    finally:
        targets.close()
    return tally


def main(argv: Sequence[str]) -> int:
    """Runs it all; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.campaign")
    parser.add_argument("--downloads", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--objects", type=int, default=200)
    parser.add_argument("--no-nginx", action="store_true")
    parser.add_argument("--require", action="store_true", help='also with verify = "require"')
    parser.add_argument("--cache", action="store_true", help="through the cache")
    options = parser.parse_args(argv)
    through = through_the_cache if options.cache else through_headgate
    tallies = {}
    with SeaweedFS() as store, Faults(store) as faults:
        things = draw_things(random.Random(options.seed), "campaign/", options.objects)
        put_all(faults, things)
        passes: dict[str, Callable[..., Tally]] = {"Headgate": through}
        if options.require:
            passes["Headgate, require"] = partial(through, more=GENEROUS + REQUIRED)
        if not options.no_nginx:
            passes["nginx"] = through_nginx
        for proxy, go in passes.items():
            begun = time.monotonic()
            tallies[proxy] = go(faults, options.downloads, options.seed, things)
            sys.stdout.write(summary(proxy, tallies[proxy], time.monotonic() - begun) + "\n")
            sys.stdout.flush()
    ours = [tally for proxy, tally in tallies.items() if proxy != "nginx"]
    notes = [note for tally in ours for note in tally.notes[:100]]
    sys.stdout.write("\n".join(["", table(tallies), "", *notes, ""]))
    return 0 if all(not one.wrong and one.recovered >= GOAL for one in ours) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
