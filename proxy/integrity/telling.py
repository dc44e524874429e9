"""The words of `headgate verify`: a line per object, a bar of progress, a summary. Pure."""

from __future__ import annotations

import json
from collections import Counter

from proxy.integrity.sweep import Progress, Result

_BAR = 24


def as_line(result: Result) -> str:
    """A readable line. Nothing in a key can break it, or reach the terminal as a command."""
    said = f"{result.outcome:12} {printable(result.key)}"
    if result.outcome == "verified":
        return f"{said} ({result.algorithm}, {size(result.bytes)})"
    return f"{said}: {printable(result.reason)}"


def as_json(origin: str, result: Result) -> str:
    """A JSON object in ASCII on one line."""
    members = {
        "origin": origin,
        "key": result.key,
        "outcome": result.outcome,
        "algorithm": result.algorithm,
        "reason": result.reason,
        "bytes": result.bytes,
    }
    return json.dumps({name: value for name, value in members.items() if value != ""})


def as_bar(progress: Progress, seconds: float) -> str:
    """How far it is, for a terminal. While names are still looked for, the end is not known."""
    share = progress.done / progress.found if progress.found else 0.0
    full = 0 if progress.listing else round(share * _BAR)
    bar = "#" * full + "-" * (_BAR - full)
    of = f"{progress.found}{'+' if progress.listing else ''}"
    rate = size(progress.bytes / seconds) if seconds > 0 else "0 B"
    return f"[{bar}] {progress.done} of {of} objects, {size(progress.bytes)}, {rate}/s"


def as_summary(counts: Counter[str], progress: Progress, seconds: float) -> str:
    """What all of it came to."""
    kinds = ("verified", "mismatch", "unverifiable", "failed")
    told = ", ".join(f"{counts[kind]} {kind}" for kind in kinds if counts[kind] or kind != "failed")
    return f"{told}; read {size(progress.bytes)} in {seconds:.1f} s"


def size(count: float) -> str:
    """Bytes as people read them."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"


def printable(text: str) -> str:
    """Text in which everything that is not shown is escaped."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)
