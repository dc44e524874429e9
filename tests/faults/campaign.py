"""Downloads through a lying store: none that looks complete may be wrong.

    python -m tests.faults.campaign --downloads 10000 --seed 1

A random fault, size, range, protocol and pace for each; through the whole program, and then the
very same ones through nginx. Prints a table, and ends with 1 if Headgate gave a wrong body, or
made up for less than 99.9 % of what can be made up for. docs/integrity.md keeps the figures.
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
from dataclasses import dataclass, field
from functools import partial

from tests.faults.control import Faults
from tests.faults.downloads import Client, draws_slow
from tests.faults.drawing import Asked, Drawn, draw_asked, draw_fault
from tests.faults.objects import Thing, draw_things, put_thing
from tests.faults.report import Tally, summary, table
from tests.faults.servers import GENEROUS, REQUIRED, Targets, headgate, nginx, raw_requests
from tests.servers import SeaweedFS

# Enough to keep two cores busy while some of them wait for a stall.
USERS = 12
GOAL = 0.999


@dataclass(frozen=True, slots=True)
class Download:
    """One download, all of it drawn beforehand, so that it can be done again elsewhere."""

    number: int
    asked: Asked
    drawn: Drawn
    protocol: int
    slow: bool

    def __str__(self) -> str:
        thing = self.asked.thing
        pace = "slow" if self.slow else "quick"
        return (
            f"download {self.number}: {thing.key} of {thing.size} bytes, {thing.kind}, "
            f"{self.asked.field or 'whole'}, HTTP/{self.protocol}, {pace}; {_short(self.drawn)}"
        )


def _short(drawn: Drawn) -> str:
    return str([(act.head, act.end, act.at, act.flip, act.longer, act.put) for act in drawn.acts])


class Draw:
    """Downloads as the seed and their number decide, whatever came before them."""

    def __init__(self, seed: int, things: Sequence[Thing], faults: Faults) -> None:
        self._seed = seed
        self._things = things
        self._store = raw_requests(faults)

    def download(self, number: int) -> Download:
        """That one. The things come in turn."""
        chance = random.Random(f"{self._seed}/{number}")
        asked = draw_asked(chance, self._things[number % len(self._things)])
        drawn = draw_fault(chance, asked, self._store)
        return Download(number, asked, drawn, chance.choice((1, 2)), draws_slow(chance))


@dataclass
class Run:
    """One proxy's downloads. `target_of` says how it is asked for a thing."""

    faults: Faults
    urls: tuple[str, str]
    target_of: Callable[[Thing], str]
    taken: defaultdict[str, asyncio.Lock] = field(default_factory=lambda: defaultdict(asyncio.Lock))

    async def do(self, downloads: int, draw: Draw, tally: Tally) -> None:
        """All of them, by several users at once."""
        numbers = iter(range(downloads))
        async with asyncio.TaskGroup() as users:
            for _ in range(min(USERS, downloads)):
                users.create_task(self._user(numbers, draw, tally))

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
        self.faults.plan(thing.key, *drawn.acts, rest=drawn.rest)
        ended = await client.get(
            self.target_of(thing), download.asked, protocol=download.protocol, slow=download.slow
        )
        self.faults.take(thing.key)
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
    options = parser.parse_args(argv)
    tallies = {}
    with SeaweedFS() as store, Faults(store) as faults:
        things = draw_things(random.Random(options.seed), "campaign/", options.objects)
        put_all(faults, things)
        passes: dict[str, Callable[..., Tally]] = {"Headgate": through_headgate}
        if options.require:
            passes["Headgate, require"] = partial(through_headgate, more=GENEROUS + REQUIRED)
        if not options.no_nginx:
            passes["nginx"] = through_nginx
        for proxy, go in passes.items():
            begun = time.monotonic()
            tallies[proxy] = go(faults, options.downloads, options.seed, things)
            sys.stdout.write(summary(proxy, tallies[proxy], time.monotonic() - begun) + "\n")
            sys.stdout.flush()
    ours = tallies["Headgate"]
    sys.stdout.write("\n".join(["", table(tallies), "", *ours.notes[:100], ""]))
    return 0 if not ours.wrong and ours.recovered >= GOAL else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
