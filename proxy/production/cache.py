"""The cache's directory: private, on a disk of this machine, and with room for its limits."""

from __future__ import annotations

import os
import resource
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from proxy.cache.disk.disk import MOST_OPEN
from proxy.cache.disk.file_systems import IN_MEMORY, file_system_of
from proxy.cache.memory.shared_memory import SHARED_MEMORY
from proxy.cache.memory.shared_memory import check_room as check_shared_room
from proxy.cache.rules.shares import CannotShare, shares_of
from proxy.config.settings import Cache
from proxy.production.findings import Finding, error, ok, warning

_ABOUT: Final = "cache"
_MIB, _GIB = 1024**2, 1024**3
# File systems that are on another machine: slow, and their locks and notices can't be relied on.
_DISTANT: Final = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "9p", "ceph", "lustre", "gpfs", "beegfs", "afs", "ocfs2"}
)
_DISTANT_FUSE: Final = ("fuse.s3fs", "fuse.sshfs", "fuse.rclone", "fuse.gluster", "fuse.goofys")
# Descriptors beside those of slices that are held open: fills, heads, and what is no cache.
_OTHERS: Final = 768


def check_cache(table: Cache, origin_connections: int, workers: int) -> Iterator[Finding]:
    """Whether the cache can work as it is configured, by this process's user and limits."""
    if table.directory is None:
        yield check_sharing(table, workers)
        return
    directory = Path(table.directory)
    there = _nearest(directory)
    if there == directory:
        yield from check_privacy(directory, os.geteuid())
    else:
        yield _check_can_be_made(directory, there)
    yield check_room(directory, there, table)
    yield from check_files(there, table.files)
    yield check_file_system(there, file_system_of(there))
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    yield check_open_files(hard, origin_connections)


def check_sharing(table: Cache, workers: int, base: Path = SHARED_MEMORY) -> Finding:
    """Whether workers that keep slices in memory only can share them."""
    if workers == 1:
        return ok(_ABOUT, "slices are kept in memory only, by the one worker")
    try:
        shares = shares_of(table.memory, table.slice, workers)
        check_shared_room(base, shares.room)
    except CannotShare as why:
        said = f"each worker fetches and keeps slices for itself: {why}"
        return warning(_ABOUT, said, "mend that, or name a cache.directory on a disk")
    said = f"{workers} workers share {shares.shared // _MIB} MiB of slices in {base}"
    return ok(_ABOUT, f"{said}; each has {shares.own // _MIB} MiB of its own")


def _nearest(directory: Path) -> Path:
    """It, or the nearest directory above it that is there."""
    while not os.path.lexists(directory) and directory != directory.parent:
        directory = directory.parent
    return directory


def check_privacy(directory: Path, user: int) -> Iterator[Finding]:
    """Whoever can write there decides what is served; whoever can read there sees it.

    `user` is the effective id of who serves.
    """
    remedy = f"chown {user} {directory}; chmod 700 {directory}"
    known = directory.lstat()
    if not stat.S_ISDIR(known.st_mode):
        yield error(_ABOUT, f"{directory} is no directory", "name one that is, not a link to it")
    elif known.st_uid != user:
        yield error(_ABOUT, f"{directory} belongs to user {known.st_uid}, not {user}", remedy)
    elif known.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        yield error(_ABOUT, f"{directory} can be written to by others", remedy)
    elif known.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        yield warning(_ABOUT, f"{directory} can be looked into by others", remedy)
    else:
        yield ok(_ABOUT, f"{directory} is private ({stat.filemode(known.st_mode)})")


def _check_can_be_made(directory: Path, there: Path) -> Finding:
    if there.is_dir() and os.access(there, os.W_OK | os.X_OK):
        return ok(_ABOUT, f"{directory} will be made")
    said = f"{directory} is not there, and can't be made in {there}"
    return error(_ABOUT, said, f"make it, for user {os.geteuid()} and with mode 0700")


def check_room(directory: Path, there: Path, table: Cache) -> Finding:
    """Room for all that it may hold, beside what has to stay free."""
    try:
        usage = shutil.disk_usage(there)
    except OSError as fault:
        return error(_ABOUT, f"{there}: {fault.strerror}", "name another directory")
    wanted = table.size + table.free
    said = f"{table.size / _GIB:.1f} GiB, and {table.free / _GIB:.1f} GiB to stay free"
    if wanted > usage.total:
        said = f"its file system has {usage.total / _GIB:.1f} GiB, which is less than {said}"
        return error(_ABOUT, said, "lower cache.size, or give it a larger file system")
    room = usage.free + _held(directory)
    if wanted > room:
        said = f"others leave it {room / _GIB:.1f} GiB, which is less than {said}"
        return warning(_ABOUT, said, "lower cache.size, or give it a file system of its own")
    return ok(_ABOUT, f"there is room for {said}")


def _held(directory: Path) -> int:
    """Bytes that are in it already."""
    held = 0
    for folder, _, files in os.walk(directory):
        for name in files:
            try:
                held += os.lstat(os.path.join(folder, name)).st_blocks * 512
            except OSError:
                continue  # evicted meanwhile
    return held


def check_files(there: Path, files: int) -> Iterator[Finding]:
    """Whether the file system has entries for so many files, where it counts them."""
    try:
        entries = os.statvfs(there).f_files
    except OSError:
        return  # told by the room
    if 0 < entries < files:
        said = f"its file system has {entries} entries for files, and cache.files is {files}"
        yield warning(_ABOUT, said, "lower cache.files, or make the file system with more inodes")


def check_file_system(there: Path, kind: str) -> Finding:
    """Locks and notices of changes work on a disk of this machine only."""
    if kind in _DISTANT or kind.startswith(_DISTANT_FUSE):
        said = f"{there} is on another machine ({kind})"
        return error(_ABOUT, said, "name a directory on a disk of this machine")
    if kind in IN_MEMORY:
        said = f"{there} is in memory ({kind}), and counts against its limit"
        return warning(_ABOUT, said, "name a directory on a disk, or leave it out")
    return ok(_ABOUT, f"its file system is {kind or 'of a kind that is not told'}")


def check_open_files(hard: int, origin_connections: int) -> Finding:
    """Descriptors for the slices that each worker holds open, beside those of the origins."""
    wanted = MOST_OPEN + 2 * origin_connections + _OTHERS
    if hard == resource.RLIM_INFINITY or hard >= wanted:
        return ok(_ABOUT, f"{MOST_OPEN} slices can be held open by each worker")
    said = f"{hard} descriptors are too few to hold {MOST_OPEN} slices open"
    remedy = "allow 65536: LimitNOFILE= of the unit, --ulimit nofile= of the container"
    return error(_ABOUT, said, remedy)
