"""Sieges: what must hold when clients, or the machine, are not as they should be.

    .venv/bin/python -m tests.siege NAME… [--seconds N] [--scale N] [--only PART]

Server, attackers and bystanders are processes of their own. Prints a line for each criterion, met
or missed, with the figure and its limit; the exit code is 1 if one was missed. Latencies are held
against those of the same server at rest, just before and just after.
"""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Callable, Iterator, Sequence

from tests.siege.criteria import Criterion
from tests.siege.exhaustion import descriptors
from tests.siege.floods import floods, resets
from tests.siege.killing import supervisor, workers
from tests.siege.slow import slow
from tests.siege.stopping import drain

Siege = Callable[[float, int, str], Iterator[Criterion]]

# Each with its seconds and its scale in full.
SIEGES: dict[str, tuple[Siege, float, int]] = {
    "slow": (slow, 60.0, 1000),
    "floods": (floods, 60.0, 1000),
    "resets": (resets, 60.0, 1000),
    "drain": (drain, 10.0, 1000),
    "workers": (workers, 60.0, 1000),
    "supervisor": (supervisor, 60.0, 1000),
    "descriptors": (descriptors, 10.0, 1000),
}


def main(argv: Sequence[str]) -> int:
    """Lays the sieges named; the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.siege",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="\n".join(f"{name}: {one.__doc__}" for name, (one, _, _) in SIEGES.items()),
    )
    parser.add_argument("names", nargs="+", choices=list(SIEGES), metavar="NAME")
    parser.add_argument("--seconds", type=float, help="how long (its own measure by default)")
    parser.add_argument("--scale", type=int, help="how many: 1,000 is all of it")
    parser.add_argument("--only", default="", help="one part: a flood by its name, an origin")
    told = parser.parse_args(argv)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that all that was started ends too
    missed = 0
    for name in told.names:
        siege, seconds, scale = SIEGES[name]
        print(f"{name}:", flush=True)
        for one in siege(told.seconds or seconds, told.scale or scale, told.only):
            missed += not one.met
            print(f"  {one}", flush=True)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
