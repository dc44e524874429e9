"""What the operator's door gives for a run: metrics before and after, a profile during it.

A Headgate that lacks one of them (404), or whose door was not named, is loaded all the same.
"""

from __future__ import annotations

import contextlib
import re
import threading
import urllib.request
from collections.abc import Callable, Iterator
from http import HTTPStatus
from pathlib import Path

# A profile is taken once the load stands, and asked for again while another measurement runs.
_PROFILE_AFTER, _AGAIN_AFTER = 3.0, 1.0


def save(
    url: str, path: Path, timeout: float = 10.0, again: Callable[[], bool] = lambda: False
) -> bool:
    """Writes what is at `url` to `path`; False, and a line that says so, when it can't be had.

    `again`, which may wait, says whether to ask once more a door that is busy (429).
    """
    while True:
        try:
            with urllib.request.urlopen(url, timeout=timeout) as answer:
                path.write_bytes(answer.read())
            return True
        except OSError as error:
            if getattr(error, "code", None) == HTTPStatus.TOO_MANY_REQUESTS and again():
                continue
            print(f"  no {path.name}: {url}: {error}")
            return False


def gained(before: Path, after: Path) -> dict[str, float]:
    """How much each counter of Headgate's grew between two scrapes, all its labels together.

    Empty where one of the scrapes is missing.
    """
    if not before.exists() or not after.exists():
        return {}
    earlier, later = (counters(path.read_text()) for path in (before, after))
    return {name: value - earlier.get(name, 0.0) for name, value in later.items()}


def counters(text: str) -> dict[str, float]:
    """Sums of the counters in Prometheus's text format: headgate_…_total."""
    sums: dict[str, float] = {}
    for name, value in re.findall(r"^(headgate_\w+_total)(?:\{.*\})? (\S+)$", text, re.MULTILINE):
        sums[name] = sums.get(name, 0.0) + float(value)
    return sums


@contextlib.contextmanager
def profile(admin_url: str, seconds: int, path: Path) -> Iterator[None]:
    """While the block runs, takes one pyinstrument profile of the live process.

    A block that is over before the load stands has none; a profile that began is waited for.
    """
    over = threading.Event()

    def take() -> None:
        if not over.wait(_PROFILE_AFTER):
            url = f"{admin_url}/debug/profile?seconds={seconds}&format=html"
            save(url, path, seconds + 30.0, again=lambda: not over.wait(_AGAIN_AFTER))

    thread = threading.Thread(target=take, name="profile")
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
