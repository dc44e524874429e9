"""What kind of file system something is on."""

from __future__ import annotations

import os
from pathlib import Path

from proxy.cache.disk.file_systems import file_system_of


def test_the_kind_of_a_file_system_is_the_kernels_word(tmp_path: Path) -> None:
    device = tmp_path.stat().st_dev
    mounts = tmp_path / "mountinfo"
    mounts.write_text(
        "24 1 0:999999 / /other rw - ext4 /dev/a rw\n"
        f"36 24 {os.major(device)}:{os.minor(device)} / /mnt rw,noatime shared:1 - nfs4 s:/x rw\n"
    )
    assert file_system_of(tmp_path, mounts) == "nfs4"
    mounts.write_text("24 1 0:999999 / /other rw - ext4 /dev/a rw\n")
    assert file_system_of(tmp_path, mounts) == ""
    assert file_system_of(tmp_path, tmp_path / "none") == ""
    assert file_system_of(tmp_path / "none") == ""
    assert file_system_of(Path("/proc")) == "proc"
