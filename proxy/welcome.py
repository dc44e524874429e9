"""What `headgate serve` says when it is ready: where, what from, and what to try next. Pure."""

from __future__ import annotations

import os

from proxy import __version__
from proxy.config.origins import DirectoryOrigin
from proxy.config.settings import Settings
from proxy.server.supervisor import Started


def welcome(settings: Settings, started: Started) -> str:
    """A few lines for the terminal, or for the head of a log."""
    addresses = [*(_url("http", one) for one in started.clear)]
    addresses += [_url("https", one) for one in started.tls]
    lines = [f"Headgate {__version__} serves", ""]
    lines += [f"  {mount.path:12} {_source(settings, mount.origin)}" for mount in settings.mounts]
    lines += ["", "on", "", *(f"  {address}" for address in addresses)]
    if started.admin is not None:
        lines.append(f"  {_url('http', started.admin)}readyz  (the operator's door)")
    lines += ["", "Try", "", *(f"  {line}" for line in _suggestions(settings, addresses[0]))]
    lines += ["", f"Reload with kill -HUP {os.getpid()}, stop with Ctrl-C."]
    return "\n".join(lines) + "\n"


def _url(scheme: str, address: str) -> str:
    return address if address.startswith("unix:") else f"{scheme}://{address}/"


def _source(settings: Settings, name: str) -> str:
    origin = settings.origins[name]
    if isinstance(origin, DirectoryOrigin):
        return f"{name}: the directory {origin.root}"
    store = origin.endpoint or "AWS"
    return f"{name}: the bucket {origin.bucket} at {store}"


def _suggestions(settings: Settings, address: str) -> list[str]:
    """Something to open and something to type; for the sample files, by their names."""
    if address.startswith("unix:"):
        return [f"curl --unix-socket {address.removeprefix('unix:')} -i http://localhost/"]
    mount = settings.mounts[0]
    base = address.removesuffix("/") + mount.path
    origin = settings.origins[mount.origin]
    if isinstance(origin, DirectoryOrigin) and (origin.root / "player.html").is_file():
        return [
            f"open {base}player.html in a browser, play the video and seek in it",
            f"curl -i -r 0-99 {base}readme.txt",
            f"curl -O -C - {base}random-100MiB.bin    (stop it, and go on)",
        ]
    browse = [f"open {base} in a browser"] if mount.listing or mount.index else []
    return [*browse, f"curl -i -r 0-99 {base}KEY"]
