"""Going through everything on disk: to list, purge or check it. For threads, a shard at a time.

A shard is one of 256 directories; whoever goes through all of them tells how far it is in between.
`pace` is called for each object and slice: it lets other threads run, and ends the work by what it
raises.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from proxy.cache.disk.files import Files
from proxy.cache.disk.format import Head, Label
from proxy.cache.disk.stored import DamagedSlice, open_stored
from proxy.cache.rules.checking import BLOCK, agree
from proxy.cache.rules.naming import HEAD, object_name, slice_name, version_name
from proxy.cache.rules.purge import Purge
from proxy.semantics.representation import Representation

# Bytes read at a time when slices are checked.
_PIECE = 16 * BLOCK
_NOTHING = Representation(0)


def _at_once() -> None:
    """For work that nothing else waits for."""


@dataclass(slots=True)
class Swept:
    """What going through some of the directory came to. `more` adds another's."""

    objects: int = 0
    slices: int = 0
    bytes: int = 0
    damaged: int = 0

    def more(self, other: Swept) -> None:
        """Adds what was found elsewhere."""
        self.objects += other.objects
        self.slices += other.slices
        self.bytes += other.bytes
        self.damaged += other.damaged


@dataclass(slots=True)
class _Object:
    """The files of one object. A head that is another object's is `misplaced`, and not its own."""

    head: Head | None = None
    misplaced: bool = False
    slices: list[str] = field(default_factory=list)


def purge_shard(
    files: Files,
    shard: str,
    purge: Purge,
    only: Collection[str] = (),
    pace: Callable[[], None] = _at_once,
) -> Swept:
    """Removes what is meant, or marks it to be validated. `only`: of these objects alone, by their
    names; of all if there is none. Raises OSError where it can't."""
    swept = Swept()
    for name, one in _objects(files, shard, only, pace):
        head = one.head or _head_by_slice(files, one)
        if head is None or not purge.matches(head.origin, head.key, head.representation.tags):
            continue
        swept.objects += 1
        if purge.soft and one.head is not None:
            _expire(files, name, one.head)
            continue
        files.drop(files.path(name + HEAD))
        for slice_ in one.slices:
            files.drop(files.path(slice_))
            swept.slices += 1
    return swept


def _expire(files: Files, name: str, head: Head) -> None:
    """Marks a head, or removes it where there is no room to: it must not stay as fresh as it is."""
    try:
        files.write_head(name, replace(head, validated=0.0))
    except OSError:
        files.drop(files.path(name + HEAD))


def list_shard(
    files: Files, shard: str, prefix: str, pace: Callable[[], None] = _at_once
) -> list[dict[str, Any]]:
    """What is kept of the objects whose keys begin so, as JSON in Python's types."""
    found = []
    for name, one in _objects(files, shard, (), pace):
        head = one.head
        if head is None or not head.key.startswith(prefix):
            continue
        version = version_name(head.representation, head.width)
        sizes = [_size(files.path(each)) for each in one.slices if f"{name}.{version}." in each]
        found.append(as_listed(head, sizes))
    return found


def as_listed(head: Head, sizes: Sequence[int]) -> dict[str, Any]:
    """What a list says of an object of which slices of these sizes are kept."""
    known = head.representation
    return {
        "origin": head.origin,
        "key": head.key,
        "size": known.size,
        "kept": sum(sizes),
        "slices": len(sizes),
        "validated": head.validated,
        "etag": str(known.etag or ""),
        "verified": head.sealed_by,
        "tags": list(known.tags),
    }


def scrub_shard(files: Files, shard: str, pace: Callable[[], None] = _at_once) -> Swept:
    """Reads every slice and compares it with its check values; drops what is damaged, and what is
    under the name of another slice or object."""
    swept = Swept()
    for object_, one in _objects(files, shard, (), pace):
        swept.objects += 1
        if one.misplaced:
            swept.damaged += 1
            files.drop(files.path(object_ + HEAD))
        for name in one.slices:
            swept.slices += 1
            length = _checked(files.path(name), name, pace)
            if length is None:
                swept.damaged += 1
                files.drop(files.path(name))
            else:
                swept.bytes += length
    return swept


def _objects(
    files: Files, shard: str, only: Collection[str], pace: Callable[[], None]
) -> Iterator[tuple[str, _Object]]:
    found: dict[str, _Object] = {}
    for name in files.names((shard,)):
        object_ = name.partition(".")[0]
        if only and object_ not in only:
            continue
        one = found.setdefault(object_, _Object())
        if not name.endswith(HEAD):
            one.slices.append(name)
    for object_, one in found.items():
        pace()
        head = _read_head(files, object_)
        if head is not None and object_name(head.origin, head.key) != object_:
            one.misplaced = True
        else:
            one.head = head
        yield object_, one


def _read_head(files: Files, object_: str) -> Head | None:
    """One that can't be read counts as gone, so that all others are still gone through."""
    try:
        return files.read_head(object_)
    except OSError:
        return None


def _head_by_slice(files: Files, one: _Object) -> Head | None:
    """Whose slices these are, where the head is gone."""
    for name in one.slices:
        try:
            found = open_stored(files.path(name))
        except (DamagedSlice, OSError):
            continue
        if found is not None:
            number, label, _ = found
            os.close(number)
            return Head(label.origin, label.key, 0, 0.0, _NOTHING)
    return None


def _is_called(name: str, label: Label) -> bool:
    """Whether a slice's file has the name that its label gives it: else files were swapped."""
    object_ = object_name(label.origin, label.key)
    return name == slice_name(object_, label.version, label.index)


def _checked(path: str, name: str, pace: Callable[[], None]) -> int | None:
    """How many bytes the slice has; None if it is damaged. One that is gone has none.

    Raises OSError where that is no fault of the file.
    """
    try:
        found = open_stored(path)
    except DamagedSlice:
        return None
    except OSError as error:
        if error.errno in (errno.EMFILE, errno.ENFILE):
            raise
        return None
    if found is None:
        return 0
    number, label, table = found
    try:
        right = _is_called(name, label) and _agrees(number, label.length, table, pace)
        return label.length if right else None
    except OSError:
        return None
    finally:
        os.close(number)


def _agrees(number: int, length: int, table: bytes, pace: Callable[[], None]) -> bool:
    for start in range(0, length, _PIECE):
        pace()
        size = min(_PIECE, length - start)
        piece = os.pread(number, size, start)
        if len(piece) < size or not agree(piece, table, start // BLOCK):
            return False
    return True


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return 0
