"""The cache's directory: every system call it is used with, all for threads.

Nothing here awaits, remembers or counts. The file system is the only index there is.
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from proxy.cache.disk.claims import Claim, adopted, claim
from proxy.cache.disk.format import MOST_HEAD, Head, Label, read_head, write_footer, write_head
from proxy.cache.disk.stored import DamagedSlice, open_stored
from proxy.cache.rules.naming import HEAD, OPENING, path_of, version_name
from proxy.errors import StartError

SHARDS: Final = tuple(f"{number:02x}" for number in range(256))


class CannotClaim(OSError):
    """There is no such slice, and none can be begun: nothing can be written."""


class Found(NamedTuple):
    """A complete slice: its open file, its label, and its table of check values."""

    number: int
    label: Label
    table: bytes

    def close(self) -> None:
        """Closes the file, for one whom nobody takes."""
        os.close(self.number)


class Opening(NamedTuple):
    """What is known of an object, and the claim on asking its origin: ours or another's."""

    head: Head | None
    claim: Claim

    def close(self) -> None:
        """Closes the claim, for one whom nobody takes."""
        self.claim.close()


class Files:
    """The directory at `root`."""

    def __init__(self, root: str) -> None:
        self.root = root

    # --- the directory itself -------------------------------------------------------------------

    def prepare(self) -> None:
        """Makes what is missing; raises StartError for a directory that others could write to.

        Whoever can write there decides what is served (see also jinja2's CVE-2014-1402).
        """
        try:
            os.makedirs(self.root, mode=0o700, exist_ok=True)
            self._check_private()
            for name in ("tmp", *SHARDS):
                os.makedirs(os.path.join(self.root, name), mode=0o700, exist_ok=True)
        except OSError as error:
            raise StartError(
                f"cache.directory {self.root!r} can't be used ({error.strerror}): name a "
                "directory that this user may write to, or leave it out to keep slices in memory"
            ) from None

    def _check_private(self) -> None:
        known = os.stat(self.root, follow_symlinks=False)
        if not stat.S_ISDIR(known.st_mode):
            raise StartError(f"cache.directory {self.root!r} is no directory")
        if known.st_uid != os.geteuid() or known.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise StartError(
                f"cache.directory {self.root!r} can be written to by others: it has to "
                "belong to the user Headgate runs as, and to be closed to the rest (chmod 700)"
            )

    def path(self, name: str) -> str:
        """Where a complete file of this name lies."""
        return os.path.join(self.root, path_of(name))

    def temporary(self, name: str) -> str:
        """Where it is while it is written."""
        return os.path.join(self.root, "tmp", name)

    def unique(self, name: str) -> str:
        """Where it is while it is written by one who has no claim on the name: nobody else's."""
        return self.temporary(f"{name}.{secrets.token_hex(8)}")

    # --- heads ----------------------------------------------------------------------------------

    def read_head(self, object_: str) -> Head | None:
        """What is known of an object; None if nothing is. A damaged file is unlinked, and so is one
        that the disk can't read."""
        path = self.path(object_ + HEAD)
        try:
            number = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        try:
            head = read_head(os.read(number, MOST_HEAD))
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            head = None
        finally:
            os.close(number)
        if head is None:
            _unlink(path)
        return head

    def write_head(self, object_: str, head: Head) -> None:
        """Puts it in place of what was known, at once and as a whole."""
        temporary = self.unique(object_ + HEAD)
        number = os.open(
            temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600
        )
        held = Claim(temporary, adopted(number), mine=True)
        try:
            held.write([write_head(head)])
            held.publish(self.path(object_ + HEAD))
        except BaseException:
            held.withdraw()
            raise
        finally:
            held.close()

    def open_or_wait(self, object_: str) -> Opening:
        """What is known of an object, and who asks its origin."""
        held = claim(self.temporary(object_ + OPENING))
        try:
            return Opening(self.read_head(object_), held)
        except BaseException:
            held.close()
            raise

    # --- slices ---------------------------------------------------------------------------------

    def look(self, name: str) -> Found | Claim:
        """The slice if it is there; else a claim on filling it, ours or another's.

        Raises DamagedSlice, and unlinks it, for a file that is not whole; OSError where the
        directory fails, of which CannotClaim says that it was looked for in vain.
        """
        found = self.open_slice(name)
        if found is not None:
            return found
        try:
            held = claim(self.temporary(name))
        except OSError as error:
            raise CannotClaim(error.errno, error.strerror) from None
        if not held.mine:
            return held
        try:
            # Whoever had it may have finished between the two.
            found = self.open_slice(name)
        except BaseException:
            held.close()
            raise
        if found is None:
            return held
        try:
            held.withdraw()
        except OSError:
            pass  # unlocked, it is the next one's, or the janitor's
        finally:
            held.close()
        return found

    def open_slice(self, name: str) -> Found | None:
        """The slice if it is there; otherwise as `look`."""
        try:
            found = open_stored(self.path(name))
        except DamagedSlice:
            _unlink(self.path(name))
            raise
        return None if found is None else Found(*found)

    def are_there(self, names: Sequence[str]) -> list[bool]:
        """Which slices there are, whatever is in them."""
        return [os.path.exists(self.path(name)) for name in names]

    def finish_slice(
        self, held: Claim, name: str, rest: Sequence[bytes], label: Label, table: bytes
    ) -> None:
        """Writes the rest of a slice and its footer, and puts it where it belongs."""
        held.write([*rest, write_footer(label, table)])
        held.publish(self.path(name))
        # The head of an object without slices goes after a while: this one has a slice again.
        _touch(self.path(name.partition(".")[0] + HEAD))

    def remove_version(self, object_: str, version: str) -> None:
        """Unlinks the slices of a version, and the object's head if it is of that version."""
        head = self.read_head(object_)
        if head is not None and version_name(head.representation, head.width) == version:
            _unlink(self.path(object_ + HEAD))
        prefix = f"{object_}.{version}."
        for name in self.names_of(object_):
            if name.startswith(prefix):
                _unlink(self.path(name))

    def drop(self, path: str) -> None:
        """Unlinks a file; nothing happens if it is not there."""
        _unlink(path)

    # --- all there is ---------------------------------------------------------------------------

    def names(self, shards: Sequence[str] = SHARDS) -> Iterator[str]:
        """The names of all files, in no order; those that come meanwhile may be left out."""
        for shard in shards:
            try:
                with os.scandir(os.path.join(self.root, shard)) as entries:
                    found = [entry.name for entry in entries]
            except OSError:
                continue
            yield from found

    def names_of(self, object_: str) -> list[str]:
        """The files of one object, its head first."""
        found = [name for name in self.names((object_[:2],)) if name.startswith(f"{object_}.")]
        return sorted(found, key=lambda name: not name.endswith(HEAD))


def _touch(path: str) -> None:
    try:
        os.utime(path)
    except FileNotFoundError:
        pass


def _unlink(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
