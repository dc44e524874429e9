"""What settings name on the disk: makes paths absolute, reads secrets, checks certificates.

Runs on the merged tree before the models do, so that these faults are reported with all others.
What a root directory holds is its origin's to check when it starts.
"""

from __future__ import annotations

import ssl
import stat
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from proxy.config.fields import MASK, RelativeToSource
from proxy.config.report import Fault
from proxy.config.shape import is_secret, marker, places
from proxy.config.sources import KeyPath, Layers, path_text

_LARGEST_SECRET: Final = 64 * 1024  # session tokens have a few KiB


def settle(layers: Layers, working: Path) -> Iterator[Fault]:
    """Makes the tree's paths absolute and reads the files that hold secrets into it."""
    for place in list(places(layers.tree)):
        if marker(place.field, RelativeToSource) and isinstance(place.value, str):
            layers.replace(place.path, str(_absolute(layers, place.path, place.value, working)))
    for place in list(places(layers.tree)):
        name = str(place.path[-1])
        if not isinstance(place.value, str) or not place.value:
            continue
        if name.endswith("_file"):
            yield from _read_secret(layers, place.path, place.value)
        elif name == "ca_bundle":
            yield from _check_authorities(layers, place.path, place.value)
    yield from _check_certificate(layers)
    yield from _check_http3(layers)


def _check_http3(layers: Layers) -> Iterator[Fault]:
    path = ("server", "tls", "http3")
    if layers.value(path) in (True, "true") and find_spec("aioquic") is None:
        said = "needs packages that are not installed: install them with `just extras`"
        yield Fault(layers.source(path), path, said, "true")


def _absolute(layers: Layers, path: KeyPath, found: str, working: Path) -> Path | str:
    """Relative to the file that says it, else to the working directory; "" stays as it is."""
    if not found:
        return found
    source = layers.source(path)
    base = working / Path(source.name).parent if source.kind == "file" else working
    return _joined(base.resolve(), _expanded(found))


def _expanded(found: str) -> Path:
    """`found` with a leading "~" replaced by the home directory it stands for."""
    try:
        return Path(found).expanduser()
    except RuntimeError:  # there is no such user
        return Path(found)


def _joined(base: Path, path: Path) -> Path:
    """`path` below `base`, which is resolved, so that leading ".." can be taken off by text."""
    parts = path.parts
    while parts and parts[0] == "..":
        base, parts = base.parent, parts[1:]
    return base.joinpath(*parts)


def _read_secret(layers: Layers, path: KeyPath, file: str) -> Iterator[Fault]:
    target: KeyPath = (*path[:-1], str(path[-1]).removesuffix("_file"))
    source = layers.source(path)
    if layers.value(target):
        other = f"{path_text(target)} at {layers.source(target)}"
        yield Fault(source, path, f"can't go with {other}: expected one of the two", f'"{file}"')
        return
    try:
        with Path(file).open("rb") as opened:
            text = opened.read(_LARGEST_SECRET).decode().strip()
    except (OSError, ValueError) as error:
        yield Fault(source, path, f"can't be read: {_why(error)}", f'"{file}"')
        return
    if not text:
        yield Fault(source, path, "is an empty file", f'"{file}"')
        return
    layers.put(target, text, {target: source})


def _check_certificate(layers: Layers) -> Iterator[Fault]:
    found = {name: layers.value(("server", "tls", name)) for name in ("certificate", "key")}
    usable = True
    for name, file in found.items():
        if not isinstance(file, str):
            usable = False
        elif why := _unreadable(file):
            usable = False
            path = ("server", "tls", name)
            yield Fault(layers.source(path), path, f"can't be read: {why}", f'"{file}"')
    if usable and (why := _unusable_pair(str(found["certificate"]), str(found["key"]))):
        path = ("server", "tls", "certificate")
        yield Fault(layers.source(path), path, why, f'"{found["certificate"]}"')


def _unusable_pair(certificate: str, key: str) -> str:
    """Why these two can't serve TLS, or ""."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(certificate, key, password=lambda: "")
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            return f'does not belong to the key in "{key}"'
        return f'expected a PEM certificate with its key, without a passphrase, in "{key}"'
    except (OSError, ValueError) as error:
        return f"can't be used: {_why(error)}"
    return ""


def _check_authorities(layers: Layers, path: KeyPath, file: str) -> Iterator[Fault]:
    why = _unreadable(file)
    if why:
        said = f"can't be read: {why}"
    else:
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(file)
            return
        except (OSError, ValueError):
            said = "expected a PEM file with certificates of authorities"
    yield Fault(layers.source(path), path, said, f'"{file}"')


def _unreadable(file: str) -> str:
    """Why the file can't be read, or ""."""
    try:
        with Path(file).open("rb"):
            return ""
    except (OSError, ValueError) as error:
        return _why(error)


def _why(error: Exception) -> str:
    return str(error.strerror) if isinstance(error, OSError) and error.strerror else "is not text"


def warnings_of(layers: Layers) -> list[str]:
    """A line for each secret that is written down in a file which everyone may read."""
    found = []
    for place in places(layers.tree):
        source = layers.source(place.path)
        if source.kind == "file" and is_secret(place.field) and place.value:
            named_here = place.path in layers.sources and source.line is not None
            is_file = (*place.path[:-1], f"{place.path[-1]}_file") in layers.sources
            if named_here and not is_file and _is_open_to_all(Path(source.name)):
                key = f'{path_text(place.path)} = "{MASK}"'
                found.append(f"{source}: {key}: a secret in a file that everyone may read")
    return found


def _is_open_to_all(file: Path) -> bool:
    try:
        return bool(file.stat().st_mode & stat.S_IROTH)
    except OSError:
        return False
