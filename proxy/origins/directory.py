"""A directory as an origin: keys are relative paths of regular files below its root.

Finding a file may wait for a disk, so it is done in a thread, all system calls in one go: 70 µs,
against 12 µs inline if everything is in the system's memory. A path on one of this machine's own
file systems that was looked up a moment ago is. Reading is in `reading`, what keeps it inside the
root in `tree`, what need not be found out again in `known`, for how long an answer may be given
again in `leases`.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator
from heapq import nsmallest
from pathlib import Path
from time import monotonic

from proxy.errors import NotFound, ObjectChanged
from proxy.origins.base import WHOLE, Entry, Lease, Page, Want
from proxy.origins.known import KnownFile, KnownFiles
from proxy.origins.leases import FileLease, LookedUp, local_devices, no_file, same_file
from proxy.origins.media_types import media_type_of
from proxy.origins.reading import BUFFER_SIZE, HotReader, OpenFile
from proxy.origins.threads import Descriptor, Threads
from proxy.origins.tree import Links, Tree, identity_of
from proxy.origins.whole import Whole
from proxy.semantics.etags import EntityTag
from proxy.semantics.representation import Representation

# Seconds one piece of file work may take; the same as an S3 origin may pause.
PATIENCE = 20.0
# How old, in seconds, an answer may be without a look at its file.
RECHECK = 1.0
# The coarsest clock that modification times are kept with, FAT's, ticks every two seconds.
_TICK_NS = 2 * 10**9


class DirectoryOrigin:
    """Files below `root`. An `Origin` and a `Lister`.

    `follow_symlinks`: "inside" follows links that end inside the root, "never" none, and
    "anywhere" all of them. `show_hidden` serves and lists names that begin with a dot.
    `patience`: how long (in seconds) one piece of file work may take.
    `recheck`: how old (in seconds) an answer made from a file may be without a look at the file.
    """

    def __init__(
        self,
        root: Path,
        *,
        follow_symlinks: Links = "inside",
        show_hidden: bool = False,
        patience: float = PATIENCE,
        recheck: float = RECHECK,
    ) -> None:
        self._tree = Tree(root, follow_symlinks, show_hidden=show_hidden)
        self._threads = Threads(patience)
        self._hot = HotReader()
        self._recheck = recheck
        self._looked_up = LookedUp()
        self._known = KnownFiles(self._tree, self._looked_up)
        self._local: frozenset[int] = frozenset()
        self._root_is_local = False

    async def start(self) -> None:
        """Raises `StartError` if the root is missing, no directory, or can't be read."""
        await self._threads.run(self._tree.check)
        self._local = await self._threads.run(local_devices)
        root = await self._threads.run(self._tree.look, b".")
        self._root_is_local = root is not None and root.st_dev in self._local

    async def open(self, key: str, want: Want = WHOLE) -> OpenFile:
        """Opens a file; raises `NotFound` for all that is no regular file one may see."""
        descriptor = Descriptor()
        again = self._known.open(key)
        if again is not None:
            return self._open_again(descriptor, want, *again)
        path, asked = self._tree.path_of(key), monotonic()
        try:
            if path in self._looked_up:
                known = _open_into(descriptor, self._tree, path)
            else:
                known = await self._threads.run(_open_into, descriptor, self._tree, path)
            representation = _representation(key, known)
            want.check(representation)
        except NotFound as missing:
            descriptor.close()
            if want.pin is not None:
                raise ObjectChanged(f"{key!r} was removed") from None
            missing.lease = self._lease_of_nothing(path, asked)
            raise
        except BaseException:
            descriptor.close()
            raise
        lease = self._lease(path, known, asked)
        if lease is not None and known.st_dev in self._local and self._recheck:
            identity = identity_of(known)
            self._known.add(key, KnownFile(path, known, identity, representation, lease))
        return OpenFile(descriptor, representation, known, (self._hot, self._threads), lease)

    def take_whole(
        self, key: str, want: Want, known: Representation, *, sealed: bool = False
    ) -> Whole | None:
        """As of `proxy.origins.whole`: a file that was opened a moment ago and is in memory."""
        if sealed or want.pin is not None or want.unless is not None or known.size > BUFFER_SIZE:
            return None
        found = self._known.read(key, known, self._hot.read)
        return None if found is None else Whole(*found)

    def _open_again(
        self, descriptor: Descriptor, want: Want, number: int, known: KnownFile
    ) -> OpenFile:
        descriptor.adopt(number)
        try:
            want.check(known.representation)
        except BaseException:
            descriptor.close()
            raise
        by = (self._hot, self._threads)
        return OpenFile(descriptor, known.representation, known.status, by, known.lease)

    def _lease(self, path: bytes, known: os.stat_result, asked: float) -> FileLease | None:
        """None for a file so young that it might change once more unseen."""
        is_local = known.st_dev in self._local
        if is_local:
            self._looked_up.add(path)
        if max(known.st_mtime_ns, known.st_ctime_ns) > time.time_ns() - _TICK_NS:
            return None
        look = same_file(self._tree, path, known) if is_local else None
        return FileLease(asked, self._recheck, look)

    def _lease_of_nothing(self, path: bytes, asked: float) -> Lease:
        if self._root_is_local:
            self._looked_up.add(path)
        look = no_file(self._tree, path) if self._root_is_local else None
        return FileLease(asked, self._recheck, look)

    async def list(self, prefix: str, after: str | None = None, limit: int = 1000) -> Page:
        """One page of a directory: its directories first, each kind by the octets of its names.

        Left out: hidden names, links the policy forbids, names that are not UTF-8, and what is
        neither a file nor a directory. Each page reads the directory's names anew.
        """
        try:
            path = self._tree.path_of(prefix.removesuffix("/")) if prefix else b""
            return await self._threads.run(_page, self._tree, path, after, max(1, limit))
        except NotFound:
            return Page(())

    async def aclose(self) -> None:
        """Lets the threads end, without waiting for work that hangs."""
        self._known.clear()
        self._looked_up.clear()
        self._threads.close()


def _open_into(descriptor: Descriptor, tree: Tree, path: bytes) -> os.stat_result:
    number, known = tree.open_file(path)
    descriptor.adopt(number)
    return known


def _representation(key: str, known: os.stat_result) -> Representation:
    now_ns = time.time_ns()
    opaque = f"{known.st_mtime_ns:x}-{known.st_size:x}-{known.st_ino:x}"
    # A second write within the clock's tick would leave time and size as they are, so a tag this
    # young may name two contents (RFC 9110 §8.8.2.2 says the same of dates).
    weak = known.st_mtime_ns > now_ns - _TICK_NS
    return Representation(
        size=known.st_size,
        etag=EntityTag(opaque, weak=weak),
        last_modified=min(known.st_mtime_ns, now_ns) // 10**9,  # §8.8.2.1: never in the future
        media_type=media_type_of(key),
    )


# --- listing: everything below runs in a thread -------------------------------------------------


def _page(tree: Tree, path: bytes, after: str | None, limit: int) -> Page:
    with tree.opened_directory(path) as directory:
        floor = _order(after) if after is not None else (False, b"")
        names = (name for name in _names(tree, path, directory) if _order(name) > floor)
        found = nsmallest(limit + 1, names, key=_order)
        chosen = found[:limit]
        entries = [_entry(tree, path, directory, name) for name in chosen]
    more = len(found) > limit
    return Page(tuple(entry for entry in entries if entry), chosen[-1] if more else None)


def _order(name: str) -> tuple[bool, bytes]:
    """Directories first; among one kind by octets, which needs no locale and never changes."""
    # A cursor comes from outside and may hold anything, lone surrogates too.
    return not name.endswith("/"), name.removesuffix("/").encode(errors="surrogatepass")


def _names(tree: Tree, path: bytes, directory: int) -> Iterator[str]:
    with os.scandir(directory) as entries:
        for entry in entries:
            if not _is_utf8(entry.name) or (entry.name.startswith(".") and not tree.show_hidden):
                continue
            mode = _mode(tree, path, entry)
            if stat.S_ISDIR(mode):
                yield entry.name + "/"
            elif stat.S_ISREG(mode):
                yield entry.name


def _mode(tree: Tree, path: bytes, entry: os.DirEntry[str]) -> int:
    """The kind of what an entry leads to, without a system call for all but links; 0 if none."""
    if entry.is_symlink():
        known = tree.look(_join(path, entry.name))
        return known.st_mode if known else 0
    if entry.is_dir(follow_symlinks=False):
        return stat.S_IFDIR
    return stat.S_IFREG if entry.is_file(follow_symlinks=False) else 0


def _entry(tree: Tree, path: bytes, directory: int, name: str) -> Entry | None:
    """The entry of a name, or None if it has gone meanwhile."""
    if name.endswith("/"):
        return Entry(name)
    try:
        known: os.stat_result | None = os.lstat(name, dir_fd=directory)
    except OSError:
        return None
    if known and stat.S_ISLNK(known.st_mode):
        known = tree.look(_join(path, name))
    if known is None or not stat.S_ISREG(known.st_mode):
        return None
    return Entry(name, known.st_size, min(known.st_mtime_ns, time.time_ns()) // 10**9)


def _join(path: bytes, name: str) -> bytes:
    return b"/".join((path, name.encode())) if path else name.encode()


def _is_utf8(name: str) -> bool:
    """Whether a name has no octets that Python had to smuggle in as lone surrogates."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
