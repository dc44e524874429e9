"""Every task of this event loop and where it waits, as Go shows its goroutines: those that wait at
the same place as one entry."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from types import FrameType
from typing import Any

_DEPTH = 40
MOST_GROUPS = 300
_NAMES = 5


def dump_tasks(tasks: Iterable[asyncio.Task[Any]]) -> list[dict[str, Any]]:
    """Groups of tasks with the same stack, the largest first; JSON in Python's types.

    Each has a count, a few names, what runs, and its stack, outermost first.
    """
    groups: dict[tuple[str, ...], dict[str, Any]] = {}
    for task in tasks:
        stack = _stack(task.get_coro())
        key = (_what(task), *stack)
        group = groups.get(key)
        if group is None:
            group = groups[key] = {"count": 0, "names": [], "runs": key[0], "stack": stack}
        group["count"] += 1
        if len(group["names"]) < _NAMES:
            group["names"].append(task.get_name())
    ordered = sorted(groups.values(), key=lambda group: -int(group["count"]))
    return ordered[:MOST_GROUPS]


def _what(task: asyncio.Task[Any]) -> str:
    return str(getattr(task.get_coro(), "__qualname__", "?"))


def _stack(awaited: object) -> list[str]:
    """From a coroutine down to what it waits for. What hides its frame ends the list by name."""
    lines: list[str] = []
    while awaited is not None and len(lines) < _DEPTH:
        frame, below = _look_into(awaited)
        if frame is None:
            lines.append(f"waits for {type(awaited).__qualname__}")
            break
        code = frame.f_code
        lines.append(f"{code.co_filename}:{frame.f_lineno} {code.co_qualname}")
        awaited = below
    return lines


def _look_into(awaited: object) -> tuple[FrameType | None, object]:
    """The frame of a coroutine or a generator of any kind, and what that awaits."""
    for kind, below in (("cr", "cr_await"), ("ag", "ag_await"), ("gi", "gi_yieldfrom")):
        frame = getattr(awaited, f"{kind}_frame", None)
        if frame is not None:
            return frame, getattr(awaited, below)
    return None, None
