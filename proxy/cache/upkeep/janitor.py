"""One thread, in one of the processes, keeps the cache's directory: the one that has the lock.

The lock is the kernel's (flock on `<root>/janitor`), so it goes with its process, however that
ends, and another takes over within about a second. Nothing is handed over: the files tell all.
"""

from __future__ import annotations

import fcntl
import logging
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from proxy.cache.disk.hits import HitTable
from proxy.cache.upkeep.pacing import Pace
from proxy.cache.upkeep.upkeep import Limits, Removed, Upkeep

__all__ = ["Janitor", "Limits", "Usage"]

logger = logging.getLogger(__name__)

# Seconds between two tries to become the janitor, and between two looks whether we still are.
_TRY_EVERY = 1.0
# Seconds for the thread to end. A disk that hangs holds it longer; it is a daemon, and left.
_STOP_TIMEOUT = 2.0


@dataclass(frozen=True, slots=True)
class Usage:
    """What the directory holds, and what this process did for it.

    Attributes:
        bytes: of slices and heads; files being written are not counted.
        files: slices and heads.
        evicted: slices that were evicted by this process, since it began.
        evicted_bytes: their bytes.
        orphans: files of writers that died, removed by this process.
        errors: faults of the file system that were survived.
        is_janitor: this process is the one that keeps the directory.
        scanned: all files are counted. If not, the first two are what is known so far, or 0.
    """

    bytes: int
    files: int
    evicted: int
    evicted_bytes: int
    orphans: int
    errors: int
    is_janitor: bool
    scanned: bool


class Janitor:
    """Keeps `root` within `limits`, in turn with other processes. `start`, then `stop`."""

    def __init__(self, root: Path, limits: Limits, hits: HitTable) -> None:
        self._root, self._limits, self._hits = root, limits, hits
        self._removed = Removed()
        self._pace = Pace(self._wait)
        self._upkeep: Upkeep | None = None
        self._locked = -1
        self._verify_at = 0.0
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begins to try; returns at once."""
        self._stopping.clear()
        self._thread = threading.Thread(target=self._run, name="cache-janitor", daemon=True)
        self._thread.start()

    def stop(self, *, wait: bool = True) -> None:
        """Ends the thread, and waits for it up to two seconds."""
        self._stopping.set()
        if wait and self._thread is not None:
            self._thread.join(_STOP_TIMEOUT)
            self._thread = None

    def statistics(self) -> Usage:
        """What is known now, from any thread. Without the lock it is what its holder published."""
        upkeep, removed = self._upkeep, self._removed
        if upkeep is not None:
            held, scanned = upkeep.counting.holdings, upkeep.counting.scanned
            counted = held.bytes, held.files
        else:
            published = self._hits.usage()
            scanned = published is not None
            counted = (0, 0) if published is None else (published.bytes, published.files)
        return Usage(
            bytes=counted[0],
            files=counted[1],
            evicted=removed.evicted,
            evicted_bytes=removed.evicted_bytes,
            orphans=removed.orphans,
            errors=self._pace.errors,
            is_janitor=upkeep is not None,
            scanned=scanned,
        )

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                with self._lock() as ours:
                    if ours:
                        self._keep()
            except _Ended:
                pass
            except OSError as error:
                self._pace.errors += 1
                logger.warning("the cache's directory can't be kept: %s", error)
            except Exception:
                # Without a janitor the directory would grow for ever.
                self._pace.errors += 1
                logger.exception("the cache's janitor failed, and begins anew")
            self._stopping.wait(_TRY_EVERY)

    def _keep(self) -> None:
        logger.info("this process keeps the cache's directory from now on")
        upkeep = Upkeep(self._root, self._limits, self._hits, self._removed, self._pace)
        self._upkeep = upkeep
        try:
            upkeep.run()
        finally:
            self._upkeep = None

    @contextmanager
    def _lock(self) -> Iterator[bool]:
        """Whether the lock is ours, until the block is left. Raises `OSError`."""
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        self._locked = os.open(self._root / "janitor", flags, 0o600)
        try:
            yield self._is_locked() and self._is_ours()
        finally:
            os.close(self._locked)

    def _is_locked(self) -> bool:
        try:
            fcntl.flock(self._locked, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _is_ours(self) -> bool:
        """Whether the file we have locked is the one others would lock."""
        self._verify_at = monotonic() + _TRY_EVERY
        try:
            return os.path.samestat(os.fstat(self._locked), os.stat(self._root / "janitor"))
        except FileNotFoundError:
            return False

    def _wait(self, seconds: float) -> None:
        if self._stopping.wait(seconds):
            raise _Ended
        if monotonic() > self._verify_at and not self._is_ours():
            raise _Ended


class _Ended(Exception):
    """The work is to end."""
