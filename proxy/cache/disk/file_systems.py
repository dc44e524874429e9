"""What kind of file system something is on, by the kernel's list of mounts."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

MOUNTS: Final = Path("/proc/self/mountinfo")
IN_MEMORY: Final = frozenset({"tmpfs", "ramfs"})


def file_system_of(there: Path, mounts: Path = MOUNTS) -> str:
    """The kind of file system something is on, as "ext4"; "" where that can't be told.

    `mounts` is the kernel's list (proc_pid_mountinfo(5)): a mount's device is the third field, its
    kind the first one behind the dash.
    """
    try:
        device = there.stat().st_dev
        wanted = f"{os.major(device)}:{os.minor(device)}"
        for line in mounts.read_text(errors="replace").splitlines():
            before, _, behind = line.partition(" - ")
            if before.split()[2:3] == [wanted]:
                return behind.partition(" ")[0]
    except OSError:
        pass
    return ""
