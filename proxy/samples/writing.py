"""Writes the samples into a directory, each of them whole or not at all.

A file is written under a temporary name, synced and renamed, so what has its right name is
complete. It is checked all the same, because a copy made by others may have been cut.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from proxy.errors import StartError
from proxy.samples import binary, clip, mp4, picture, texts

Say = Callable[[str], None]


# A part file this old belongs to no one: writing the largest takes seconds.
LEFT_BEHIND = 600.0


class _Kind(NamedTuple):
    name: str
    parts: Callable[[], Iterable[bytes]]
    whole: Callable[[Path], bool]


def make(directory: Path, *, say: Say = print) -> list[Path]:
    """Make the samples that are missing in `directory`, and return the paths of all of them.

    Files that are there and complete are left alone. `say` gets one line for each file made. Takes
    about two seconds of one core and 115 MiB of disk; call it in a thread where a loop runs.

    Raises: `StartError` when the directory can't be made or written.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        _sweep(directory)
        return [_made(directory, kind, say) for kind in KINDS]
    except OSError as error:
        why = error.strerror or type(error).__name__
        raise StartError(
            f"can't write the sample files into {directory}: {why}; "
            "serve another directory, or make room for about 115 MiB there"
        ) from error


def _made(directory: Path, kind: _Kind, say: Say) -> Path:
    path = directory / kind.name
    if not (path.is_file() and kind.whole(path)):
        say(f"Making {path} …")
        _write(path, kind.parts())
    return path


def _write(path: Path, parts: Iterable[bytes]) -> None:
    """Write the parts to `path` in one step, or leave it as it was."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.writelines(parts)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o644)  # mkstemp gives it to its owner alone
        temporary.replace(path)
        _sync(path.parent)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _sweep(directory: Path) -> None:
    """Remove part files of a process that was killed; one at work beside us keeps its own."""
    for kind in KINDS:
        for left in directory.glob(f".{kind.name}.*.part"):
            if time.time() - left.stat().st_mtime > LEFT_BEHIND:
                left.unlink(missing_ok=True)


def _sync(directory: Path) -> None:
    """Make the new name last."""
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _not_empty(path: Path) -> bool:
    """For text: whoever changed it meant to."""
    return path.stat().st_size > 0


def _ends_as_png(path: Path) -> bool:
    with path.open("rb") as file:
        start = file.read(len(picture.SIGNATURE))
        file.seek(-min(len(picture.END), path.stat().st_size), os.SEEK_END)
        return start == picture.SIGNATURE and file.read() == picture.END


def _readme() -> Iterable[bytes]:
    return [texts.README.format(sha256=binary.SHA256).encode()]


def _clip() -> Iterable[bytes]:
    return mp4.mux(clip.TRACK, list(clip.pictures()), clip.RATE)  # a chunk a second


KINDS = (
    _Kind("readme.txt", _readme, _not_empty),
    _Kind("player.html", lambda: [texts.PLAYER.encode()], _not_empty),
    _Kind("picture.png", lambda: [picture.picture()], _ends_as_png),
    _Kind("clip.mp4", _clip, mp4.whole),
    _Kind(binary.NAME, binary.blocks, lambda path: path.stat().st_size == binary.SIZE),
)
