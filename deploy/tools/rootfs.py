"""Gathers the files of the container image: `rootfs.py ENVIRONMENT PACKAGE ROOT`, in its build.

Into ROOT go the Python that runs this, without what a server has no use for; ENVIRONMENT, the
virtual environment with the locked wheels; PACKAGE, put into that environment; the shared libraries
that any of them needs, found by the loader's own `ldd`; certificate authorities; and a user. What
Headgate may write to goes to ROOT.owned, which the image gives to that user. Works on Debian and on
Alpine. Bytecode is made here, with checks by nothing, since the image is read-only.

Which of the base's packages ended up inside is written to /opt/headgate/base-packages.json, for
the bill of materials.
"""

from __future__ import annotations

import compileall
import json
import os
import py_compile
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from pathlib import Path

USER = 10001
# Of the standard library: the editor, the tests, other windows systems, and what installs.
_UNUSED = (
    "__pycache__", "test", "tests", "idlelib", "tkinter", "turtledemo", "turtle.py", "ensurepip",
    "lib2to3", "pydoc_data", "config-*", "site-packages", "dist-packages", "sqlite3", "dbm",
    "curses", "_sqlite3*", "_curses*", "_dbm*", "_gdbm*", "_tkinter*", "_test*", "_xxtestfuzz*",
    "_ctypes_test*", "xxlimited*", "readline*", "EXTERNALLY-MANAGED", "sitecustomize.py",
)  # fmt: skip
# Of botocore's 400 service descriptions: S3, and those that its credentials come from.
_SERVICES = {"s3", "sts", "sso", "sso-oidc", "signin"}
_AUTHORITIES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/ssl/cert.pem")
# Opened by name when a thread ends, so no other file refers to it.
_BY_NAME = ("/lib/*/libgcc_s.so.1", "/usr/lib/*/libgcc_s.so.1", "/usr/lib/libgcc_s.so.1")

# What `apk info --who-owns` says: "… is owned by NAME-VERSION-rN".
_ALPINE_OWNER = re.compile(r"owned by (.+)-(\d\S*-r\d+)$")


def main(environment: Path, package: Path, root: Path) -> None:
    """Fills ROOT and ROOT.owned, which must not be there yet."""
    root.mkdir(parents=True)
    _link_as_the_base_does(root)
    taken = [_copy_python(root), _copy_environment(environment, package, root)]
    base_files = list(_copy_libraries(root, taken))
    base_files += _copy_authorities(root)
    _compile(root, taken)
    _add_user(root)
    (root / "opt/headgate/base-packages.json").write_text(
        json.dumps(_owners([Path(sys.executable), *base_files]), indent=1) + "\n"
    )
    cache = Path(f"{root}.owned", "var/cache/headgate")
    cache.mkdir(parents=True, mode=0o700)


def _link_as_the_base_does(root: Path) -> None:
    """/lib and the like are links on Debian, and the loader's path goes through them."""
    for name in ("bin", "lib", "lib64", "sbin"):
        if Path("/", name).is_symlink():
            target = os.readlink(f"/{name}")
            (root / name).symlink_to(target)
            (root / target.lstrip("/")).mkdir(parents=True, exist_ok=True)
    (root / "tmp").mkdir()
    (root / "tmp").chmod(0o1777)


def _put(file: Path, root: Path) -> Path:
    """Copies one file, links followed, to where its path leads in ROOT."""
    target = root / file.relative_to("/")
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(file, target)
    target.chmod(0o755 if os.access(file, os.X_OK) else 0o644)
    return target


def _copy_python(root: Path) -> Path:
    """The interpreter under its own name, and its standard library."""
    program = Path(sys.executable).resolve()
    _put(program, root)
    library = Path(sysconfig.get_path("stdlib"))
    target = root / library.relative_to("/")
    shutil.copytree(library, target, symlinks=True, ignore=shutil.ignore_patterns(*_UNUSED))
    return target


def _copy_environment(environment: Path, package: Path, root: Path) -> Path:
    """The virtual environment, with the package in it and botocore's data thinned out."""
    target = root / environment.relative_to("/")
    unused = shutil.ignore_patterns("__pycache__", "Activate.ps1", "activate*")
    shutil.copytree(environment, target, symlinks=True, ignore=unused)
    for link in ("python", "python3", Path(sys.executable).resolve().name):
        (target / "bin" / link).unlink(missing_ok=True)
        (target / "bin" / link).symlink_to(Path(sys.executable).resolve())
    (packages,) = target.glob("lib/python3.*/site-packages")
    shutil.copytree(package, packages / package.name, ignore=unused)
    for service in (packages / "botocore/data").iterdir():
        if service.is_dir() and service.name not in _SERVICES:
            shutil.rmtree(service)
    return target


def _copy_libraries(root: Path, trees: list[Path]) -> Iterator[Path]:
    """Shared libraries of the base that what is in ROOT refers to; their paths in the base."""
    programs = [file for tree in trees for file in tree.rglob("*.so*") if file.is_file()]
    programs.append(Path(sys.executable).resolve())
    needed = {found for file in programs for found in _needs(file)}
    needed |= {found for pattern in _BY_NAME for found in Path("/").glob(pattern.lstrip("/"))}
    if Path("/etc/ld.so.cache").exists():  # glibc finds by it what is in /usr/local/lib
        _put(Path("/etc/ld.so.cache"), root)
    inside = tuple(f"{tree}/" for tree in trees)
    for library in sorted(needed):
        if not str(library).startswith(inside):
            _put(library, root)
            yield library


def _needs(file: Path) -> Iterator[Path]:
    done = subprocess.run(["ldd", str(file)], capture_output=True, text=True, check=False)  # noqa: S607
    # In the words of glibc and of musl.
    missing = re.findall(
        r"(\S+) => not found|loading shared library (\S+):", done.stdout + done.stderr
    )
    if missing:
        names = ", ".join("".join(one) for one in missing)
        raise SystemExit(f"{file} needs {names}, which the base does not have")
    for path in re.findall(r"(?:=> |^\s*)(/\S+) \(0x", done.stdout, flags=re.MULTILINE):
        yield Path(path)


def _copy_authorities(root: Path) -> list[Path]:
    """Certificate authorities, always under the one name that SSL_CERT_FILE says."""
    for name in _AUTHORITIES:
        if Path(name).exists():
            target = root / _AUTHORITIES[0].lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(name, target)
            return [Path(name)]
    raise SystemExit("the base has no certificate authorities (package ca-certificates)")


def _compile(root: Path, trees: list[Path]) -> None:
    """Bytecode beside every source; paths in it as in the image, nothing of this build's time."""
    for tree in trees:
        done = compileall.compile_dir(
            tree,
            maxlevels=20,
            quiet=1,
            stripdir=str(root),
            prependdir="/",
            invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
        )
        if not done:
            raise SystemExit(f"not everything below {tree} compiles")


def _add_user(root: Path) -> None:
    etc = root / "etc"
    (etc / "passwd").write_text(
        "root:x:0:0:root:/:/nonexistent\n"
        f"headgate:x:{USER}:{USER}:Headgate:/var/cache/headgate:/nonexistent\n"
    )
    (etc / "group").write_text(f"root:x:0:\nheadgate:x:{USER}:\n")
    (etc / "nsswitch.conf").write_text("hosts: files dns\n")
    shutil.copyfile("/etc/os-release", etc / "os-release")  # what scanners of images look at


def _owners(files: Iterable[Path]) -> list[dict[str, str]]:
    """Python itself, and name and version of the base's packages that these files come from."""
    python = [{"type": "generic", "name": "python", "version": sys.version.split()[0]}]
    if shutil.which("dpkg-query"):
        return python + _owners_in_debian(files)
    if shutil.which("apk"):
        return python + _owners_in_alpine(files)
    return python


def _owners_in_debian(files: Iterable[Path]) -> list[dict[str, str]]:
    names = set()
    for file in files:  # the database knows some by their name before /lib became a link
        for path in {file, file.resolve(), Path(str(file.resolve()).removeprefix("/usr"))}:
            found = _said("dpkg-query", "--search", str(path))
            names |= set(re.findall(r"^([\w.+-]+(?::\w+)?): /", found, flags=re.MULTILINE))
    rows = [
        _said("dpkg-query", "--show", "--showformat", "${Package} ${Version} ${Architecture}", name)
        for name in sorted(names)
    ]
    kinds = ("name", "version", "architecture")
    return [{"type": "deb", **dict(zip(kinds, row.split(), strict=True))} for row in rows]


def _owners_in_alpine(files: Iterable[Path]) -> list[dict[str, str]]:
    said = [_said("apk", "info", "--who-owns", str(file)) for file in files]
    found = {match for text in said for match in _ALPINE_OWNER.findall(text)}
    return [{"type": "apk", "name": name, "version": version} for name, version in sorted(found)]


def _said(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]))
