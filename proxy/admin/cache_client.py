"""`headgate cache`: what a running Headgate keeps, looked at and changed by its operator's door.

Results go to standard output; how far it is goes to standard error, where that is a terminal.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPResponse
from pathlib import Path
from time import localtime, strftime
from typing import Any, Final
from urllib.parse import urlencode

from proxy.admin.asking import Refused, asked, lines
from proxy.errors import ConfigurationError, StartError
from proxy.integrity.telling import printable, size

# Keys that are sent together, and bytes of them at most: half of what the door takes.
_BATCH, _BATCH_BYTES = 1000, 128 * 1024
# Seconds without a word: a list comes as a whole, after at most a minute.
_SILENCE: Final = 70.0
_BAR: Final = 24
_ERASE: Final = "\r\x1b[K"

Answer = dict[str, Any]


@dataclass(frozen=True, slots=True)
class CacheClient:
    """Where to ask, and how to tell: `token` or None, and whether results are JSON."""

    admin: str
    token: str | None = None
    as_json: bool = False

    def stats(self) -> bool:
        """Prints what is kept and was done."""
        told = self._get("/cache")
        self._say(told, as_stats(told["total"], len(told["workers"])))
        return True

    def objects(self, prefix: str, origin: str, limit: int) -> bool:
        """Prints the objects of which something is kept, a line each."""
        query = urlencode({"prefix": prefix, "origin": origin, "limit": limit})
        told = self._get(f"/cache/objects?{query}")
        for one in told["objects"]:
            self._say(one, [as_object(one)])
        if told["truncated"]:
            sys.stderr.write(f"There are more; {limit} are shown (--limit).\n")
        return True

    def purge(self, targets: Sequence[Mapping[str, Any]]) -> bool:
        """Purges one after the other; whether each was complete."""
        well = True
        for target in targets:
            told = self._do("/cache/purge", target)
            done = f"{told.get('objects', 0)} objects, {told.get('slices', 0)} slices removed"
            if target["soft"]:
                done = f"{told.get('objects', 0)} objects are to be validated"
            what = printable(target.get("value") or "all")
            self._say({**target, **told}, [f"purged {what}: {done}"] if _is_well(told) else [])
            well = well and _is_well(told)
        return well

    def scrub(self) -> bool:
        """Has all slices checked; whether none was damaged."""
        told = self._do("/cache/scrub", {})
        if not _is_well(told):
            self._say(told, [])
            return False
        said = f"{told['slices']} slices, {size(told['bytes'])} checked; {told['damaged']} damaged"
        self._say(told, [f"{said} and dropped" if told["damaged"] else said])
        return not told["damaged"]

    def warm(self, bodies: Iterator[Mapping[str, Any]]) -> bool:
        """Has objects read; whether all could be."""
        done = failed = count = 0
        well = True
        for body in bodies:
            told = self._do("/cache/warm", body)
            well = well and _is_well(told)
            for one in told.get("faults", ()):
                named = f"{one['origin']}: {printable(one['key'])}: {printable(one['why'])}"
                sys.stderr.write(f"failed {named}\n")
            done, failed = done + told.get("done", 0), failed + told.get("failed", 0)
            count += told.get("bytes", 0)
        summed = {"done": done, "failed": failed, "bytes": count}
        self._say(summed, [f"{done} objects read, {size(count)}; {failed} failed"])
        return well and not failed

    # --- asking ---------------------------------------------------------------------------------

    def _get(self, path: str) -> Answer:
        with self._asked(path) as answer:
            return _answer(answer.read())

    @contextmanager
    def _asked(
        self, path: str, body: Mapping[str, Any] | None = None, accept: str = "application/json"
    ) -> Iterator[HTTPResponse]:
        try:
            with asked(self.admin, self.token, path, body, accept, silence=_SILENCE) as answer:
                yield answer
        except Refused as refused:
            if refused.status in (400, 404):  # what was asked for is wrong, not the server
                raise ConfigurationError(f"headgate cache: {refused.why}") from None
            raise

    def _do(self, path: str, body: Mapping[str, Any]) -> Answer:
        """What comes of a deed; without success, why is told and it has a status other than 200."""
        show = _show if sys.stderr.isatty() else _hide
        try:
            with self._asked(path, body, "text/event-stream") as answer:
                told = last_of(lines(answer), show)
        finally:
            if sys.stderr.isatty():
                sys.stderr.write(_ERASE)
        if not _is_well(told):
            sys.stderr.write(f"headgate: {told['detail']}\n")
        return told

    def _say(self, told: Mapping[str, Any], text: Sequence[str]) -> None:
        shown = [json.dumps(told)] if self.as_json else text
        sys.stdout.writelines(f"{line}\n" for line in shown)
        sys.stdout.flush()


def _answer(body: bytes) -> Answer:
    try:
        told: Answer = json.loads(body)
    except ValueError:
        raise StartError("The answer is no JSON: is this Headgate's operator's door?") from None
    return told


def _is_well(told: Mapping[str, Any]) -> bool:
    return bool(told.get("status", 200) == 200)


def _show(told: Mapping[str, Any]) -> None:
    sys.stderr.write(f"{_ERASE}{as_bar(told)}")
    sys.stderr.flush()


def _hide(_: Mapping[str, Any]) -> None:
    """Where nobody would see it."""


# --- words --------------------------------------------------------------------------------------


def last_of(stream: Iterator[str], show: Callable[[Mapping[str, Any]], None]) -> Answer:
    """The event that ends a stream; those before it are shown. Raises StartError without one."""
    event = ""
    for line in stream:
        name, _, value = line.partition(": ")
        if name == "event":
            event = value
        elif name == "data" and event == "progress":
            show(_answer(value.encode()))
        elif name == "data" and event == "done":
            return _answer(value.encode())
    raise StartError("The answer broke off: Headgate stopped, or what was done is not known.")


def as_bar(told: Mapping[str, Any]) -> str:
    """How far it is, for a terminal."""
    done, of = told.get("done", 0), told.get("of", 0)
    full = round(_BAR * done / of) if of and not told.get("listing") else 0
    bar = "#" * full + "-" * (_BAR - full)
    parts = [f"{done} of {of}{'+' if told.get('listing') else ''}"]
    parts += [f"{told[name]} {name}" for name in ("objects", "damaged", "failed") if name in told]
    if "bytes" in told:
        parts.append(size(told["bytes"]))
    return f"[{bar}] {', '.join(parts)}"


def as_object(one: Mapping[str, Any]) -> str:
    """A line for one object."""
    whole = one["kept"] >= one["size"]
    kept = size(one["size"]) if whole else f"{size(one['kept'])} of {size(one['size'])}"
    at = float(one["validated"])
    since = strftime("%Y-%m-%d %H:%M:%S", localtime(at)) if at else "to be validated"
    return f"{kept:>24}  {since:<19}  {printable(one['origin'])}:{printable(one['key'])}"


def as_stats(total: Mapping[str, Any], workers: int) -> list[str]:
    """What is kept and was done, in a few lines."""
    given = {name: total[f"bytes_{name}"] for name in ("memory", "disk", "fill", "bypass")}
    all_given = sum(given.values())
    share = f"{(given['memory'] + given['disk']) / all_given:.1%}" if all_given else "-"
    memory = f"{size(total['memory_used'])} of {size(total['memory_limit'])}"
    shared = f"{size(total['shared_used'])} of {size(total['shared_limit'])}"
    told = [
        ("memory", f"{memory} in {workers} workers, {total['memory_slices']} slices"),
        ("objects", f"{total['entries']} known"),
        ("given", f"{size(all_given)}, {share} of it from what was kept"),
        ("filled", f"{total['fills_started']} slices, {total['fills_failed']} failed"),
        ("purges", str(total["purges"])),
    ]
    if total["shared_limit"]:
        rests = f"; it is left alone: {total['resting']}" if total["resting"] else ""
        told.insert(0, ("shared", f"{shared} in memory, in {printable(total['directory'])}{rests}"))
        told.append(("damaged", f"{total['disk_damaged']} slices"))
        told.append(("evicted", f"{total['memory_evicted']} slices"))
    elif total["directory"]:
        files = f"{total['disk_files']} of {total['disk_files_limit']} files"
        used = f"{size(total['disk_bytes'])} of {size(total['disk_limit'])}, {files}"
        rests = f"; it is left alone: {total['resting']}" if total["resting"] else ""
        told.insert(0, ("disk", f"{used} in {printable(total['directory'])}{rests}"))
        told.append(("damaged", f"{total['disk_damaged']} slices"))
        told.append(("evicted", f"{total['disk_evicted']} slices"))
    return [f"{name:<8} {said}" for name, said in told]


# --- what is asked for --------------------------------------------------------------------------


def purge_of(text: str, origin: str, *, tag: bool, prefix: bool, soft: bool) -> dict[str, Any]:
    """What a target of `headgate cache purge` means, for the door. Pure."""
    if tag:
        kind = "tag"
    elif not text:
        kind = "all"
    elif text.startswith(("/", "http://", "https://")) and not origin:
        kind = "path"
    else:
        kind = "prefix" if prefix or text.endswith("/") else "key"
    return {"kind": kind, "value": text, "origin": origin, "soft": soft}


def to_warm(text: str, origin: str) -> Iterator[Mapping[str, Any]]:
    """What to warm, some at a time: all below a prefix ("" or ending in a slash), or the lines of a
    file, "-" for standard input. Raises ConfigurationError for one that can't be read."""
    if not text or text.endswith("/"):
        yield {"prefix": text, "origin": origin}
        return
    batch: list[str] = []
    weight = 0
    for key in _keys_in(text):
        if batch and (len(batch) >= _BATCH or weight + len(key) > _BATCH_BYTES):
            yield {"keys": batch, "origin": origin}
            batch, weight = [], 0
        batch.append(key)
        weight += len(json.dumps(key)) + 2
    if batch:
        yield {"keys": batch, "origin": origin}


def _keys_in(file: str) -> Iterator[str]:
    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{file}: can't be read: {error}") from None
    yield from (line.strip("\r") for line in text.split("\n") if line.strip())
