"""What gathers the image's files: the parts that can be tried without an image."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from deploy.tools import rootfs

GLIBC = """\
\tlinux-vdso.so.1 (0x00007ffd5a5f2000)
\tlibssl.so.3 => /lib/x86_64-linux-gnu/libssl.so.3 (0x00007f1c2a400000)
\t/lib64/ld-linux-x86-64.so.2 (0x00007f1c2a9d5000)
"""
MUSL = """\
\t/lib/ld-musl-x86_64.so.1 (0x7f5d1a2b0000)
\tlibssl.so.3 => /usr/lib/libssl.so.3 (0x7f5d19e00000)
\tlibc.musl-x86_64.so.1 => /lib/ld-musl-x86_64.so.1 (0x7f5d1a2b0000)
"""
GLIBC_MISSING = "\tlibcrypt.so.2 => not found\n"
MUSL_MISSING = "Error loading shared library libcrypt.so.2: No such file (needed by x.so)\n"


def said(monkeypatch: pytest.MonkeyPatch, stdout: str, stderr: str = "") -> None:
    """Makes `ldd` say this: there is one loader on this machine, and the image has two kinds."""
    done = subprocess.CompletedProcess([], 0, stdout, stderr)
    monkeypatch.setattr("deploy.tools.rootfs.subprocess.run", lambda *_, **__: done)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (GLIBC, {"/lib/x86_64-linux-gnu/libssl.so.3", "/lib64/ld-linux-x86-64.so.2"}),
        (MUSL, {"/usr/lib/libssl.so.3", "/lib/ld-musl-x86_64.so.1"}),
        ("\tstatically linked\n", set()),
    ],
)
def test_the_loaders_of_debian_and_alpine_are_understood(
    monkeypatch: pytest.MonkeyPatch, text: str, found: set[str]
) -> None:
    said(monkeypatch, text)
    assert {str(one) for one in rootfs._needs(Path("x.so"))} == found


@pytest.mark.parametrize(("stdout", "stderr"), [(GLIBC_MISSING, ""), ("", MUSL_MISSING)])
def test_a_library_that_the_base_lacks_ends_the_build(
    monkeypatch: pytest.MonkeyPatch, stdout: str, stderr: str
) -> None:
    said(monkeypatch, stdout, stderr)
    with pytest.raises(SystemExit, match=r"needs libcrypt\.so\.2"):
        list(rootfs._needs(Path("x.so")))


def test_the_real_loader_finds_what_python_needs() -> None:
    program = Path(sys.executable).resolve()
    needed = list(rootfs._needs(program))
    assert any("libc" in one.name for one in needed)
    assert all(one.exists() for one in needed)


def test_alpines_words_about_owners() -> None:
    found = rootfs._ALPINE_OWNER.findall("/lib/libssl.so.3 is owned by libssl3-3.5.0-r0")
    assert found == [("libssl3", "3.5.0-r0")]


def test_a_file_goes_where_its_path_leads(tmp_path: Path) -> None:
    file = tmp_path / "base/lib.so"
    file.parent.mkdir()
    file.write_bytes(b"x")
    file.chmod(0o755)
    put = rootfs._put(file, tmp_path / "root")
    assert put == tmp_path / "root" / file.relative_to("/")
    assert put.stat().st_mode & 0o777 == 0o755
