"""What S3-FIFO keeps beside what LRU keeps, and what each costs. For docs/decisions/0008.

    .venv/bin/python -m tests.benchmarks.eviction [--requests N] [--rounds N]

Requests follow Zipf's law over 100,000 objects of one size; scans are runs of keys that are asked
for once, 5,000 after each 10,000 requests, and don't count as misses. The first fifth of a trace
warms the cache up. The seed is fixed, so that the ratios are the same in each run; the times are
the least of several rounds.
"""

from __future__ import annotations

import argparse
import random
import tracemalloc
from collections import OrderedDict
from collections.abc import Callable, Iterable
from itertools import accumulate
from time import perf_counter

from proxy.cache.rules.eviction import Policy

OBJECTS = 100_000
ALPHAS = (0.8, 1.0)
SHARES = (0.01, 0.1)
SCAN_EVERY, SCAN_LENGTH = 10_000, 5_000
_SEED = 20231023
_COSTED = 100_000


class Lru:
    """Plain LRU with the interface of `Policy`."""

    def __init__(self) -> None:
        self._sizes: OrderedDict[int, int] = OrderedDict()

    def __contains__(self, name: int) -> bool:
        return name in self._sizes

    def __len__(self) -> int:
        return len(self._sizes)

    def insert(self, name: int, size: int) -> None:
        self._sizes[name] = size

    def hit(self, name: int) -> None:
        self._sizes.move_to_end(name)

    def victim(self) -> int | None:
        return self._sizes.popitem(last=False)[0] if self._sizes else None


Cache = Lru | Policy[int]
CACHES: dict[str, Callable[[], Cache]] = {"LRU": Lru, "S3-FIFO": Policy}


def trace(alpha: float, count: int, *, scans: bool) -> list[int]:
    """Keys in the order in which they are asked for; those below zero are of scans."""
    chance = random.Random(_SEED)
    weights = list(accumulate(rank**-alpha for rank in range(1, OBJECTS + 1)))
    asked = chance.choices(range(OBJECTS), cum_weights=weights, k=count)
    if not scans:
        return asked
    fresh = iter(range(-1, -count - SCAN_LENGTH, -1))
    mixed: list[int] = []
    for begin in range(0, count, SCAN_EVERY):
        mixed += asked[begin : begin + SCAN_EVERY]
        mixed += (next(fresh) for _ in range(SCAN_LENGTH))
    return mixed


def hit_ratio(cache: Cache, keys: list[int], room: int) -> float:
    """The share of requests for objects that found them, after the first fifth."""
    hits = asked = 0
    for place, key in enumerate(keys):
        counts = key >= 0 and place * 5 >= len(keys)
        asked += counts
        if key in cache:
            hits += counts
            cache.hit(key)
            continue
        if len(cache) >= room:
            cache.victim()
        cache.insert(key, 1)
    return hits / asked


def ratios(requests: int) -> Iterable[str]:
    """The rows of the first table."""
    for alpha in ALPHAS:
        for scans in (False, True):
            keys = trace(alpha, requests, scans=scans)
            for share in SHARES:
                found = {
                    name: hit_ratio(make(), keys, int(OBJECTS * share))
                    for name, make in CACHES.items()
                }
                yield (
                    f"| {alpha} | {share:.0%} | {'yes' if scans else 'no'} | {found['LRU']:.1%}"
                    f" | {found['S3-FIFO']:.1%} | {found['S3-FIFO'] - found['LRU']:+.1%} |"
                )


def _least(rounds: int, act: Callable[[], None]) -> float:
    """Microseconds for one of the `_COSTED` things that `act` does."""
    times = []
    for _ in range(rounds):
        begun = perf_counter()
        act()
        times.append(perf_counter() - begun)
    return min(times) / _COSTED * 1e6


def costs(make: Callable[[], Cache], rounds: int) -> tuple[float, float, float]:
    """Microseconds per hit and per insert with its eviction; bytes of memory per item."""
    names = list(range(10**9, 10**9 + 2 * _COSTED))
    tracemalloc.start()
    cache = make()
    for name in names[:_COSTED]:
        cache.insert(name, 8 << 20)
    memory = tracemalloc.get_traced_memory()[0] / _COSTED
    tracemalloc.stop()

    def hits() -> None:
        hit = cache.hit
        for name in names[:_COSTED]:
            hit(name)

    def turns() -> None:
        turned = make()
        for name in names[:_COSTED]:
            turned.insert(name, 1)
        begun = perf_counter()
        for name in names[_COSTED:]:
            turned.victim()
            turned.insert(name, 1)
        spent.append(perf_counter() - begun)

    spent: list[float] = []
    hit = _least(rounds, hits)
    for _ in range(rounds):
        turns()
    return hit, min(spent) / _COSTED * 1e6, memory


def main() -> None:
    """Prints both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=500_000)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    print("| Zipf | cache | scans | LRU | S3-FIFO | |\n|" + " --- |" * 6)
    for row in ratios(arguments.requests):
        print(row, flush=True)
    print("\n| | µs for a hit | µs to insert and evict | bytes an item |\n|" + " --- |" * 4)
    for name, make in CACHES.items():
        hit, turn, memory = costs(make, arguments.rounds)
        print(f"| {name} | {hit:.2f} | {turn:.2f} | {memory:.0f} |")


if __name__ == "__main__":
    main()
