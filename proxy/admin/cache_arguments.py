"""The arguments of `headgate cache`. It imports little: it is read for every command."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

_ABOUT = "Look at and change what a running Headgate keeps, by its operator's door."
_ABOUT_PURGE = """\
What is purged is not given again as it is kept: when the command has ended with 0, by no worker.
A TARGET is a key; a prefix, which ends in a slash (or is empty: everything); or a public path or
URL, which begins with a slash or with http."""
_ABOUT_SCRUB = """\
Reads every slice on disk and compares it with its check values; what differs is dropped, and
fetched again when it is next asked for. Exit code 1 if something was damaged."""
_ABOUT_WARM = """\
Reads objects from their origins, so that they are kept: those named in a FILE, a key or public
path in each line ("-" is standard input), or all below a PREFIX, which ends in a slash. Exit code
1 if one could not be read."""

Commands = Any  # argparse's own type of it is private


def add_cache(
    commands: Commands,
    add_door: Callable[[argparse.ArgumentParser], None],
    run: Callable[[argparse.Namespace], int],
) -> None:
    """Adds the command. `add_door` adds the options that say where the door is."""
    cache = commands.add_parser(
        "cache", help="look at, purge, check and fill the cache", description=_ABOUT
    )
    kinds = cache.add_subparsers(
        title="commands", required=True, metavar="{stats,ls,purge,scrub,warm}", dest="deed"
    )

    def add(name: str, what: str, about: str = "") -> argparse.ArgumentParser:
        command: argparse.ArgumentParser = kinds.add_parser(
            name,
            help=what,
            description=about or f"{what.capitalize()}.",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        add_door(command)
        command.add_argument("--json", action="store_true", help="one JSON object per line")
        command.set_defaults(run=run)
        return command

    add("stats", "show what is kept and was done")
    _add_ls(add("ls", "list the objects of which something is kept"))
    _add_purge(add("purge", "have objects validated or fetched anew", _ABOUT_PURGE))
    add("scrub", "check all slices on disk", _ABOUT_SCRUB)
    warm = add("warm", "fill the cache with objects", _ABOUT_WARM)
    warm.add_argument("target", metavar="FILE|PREFIX", help='"-" for standard input')
    _add_origin(warm)


def _add_ls(command: argparse.ArgumentParser) -> None:
    command.add_argument("prefix", nargs="?", default="", metavar="PREFIX", help="of keys")
    command.add_argument(
        "--limit", type=int, default=1000, metavar="N", help="no more than this (default: 1000)"
    )
    _add_origin(command)


def _add_purge(command: argparse.ArgumentParser) -> None:
    command.add_argument("targets", nargs="+", metavar="TARGET", help="key, prefix, path or URL")
    kind = command.add_mutually_exclusive_group()
    kind.add_argument(
        "--tag", action="store_true", help="targets are tags, as in the objects' cache-tag"
    )
    kind.add_argument("--prefix", action="store_true", help="targets are beginnings of keys")
    command.add_argument(
        "--soft", action="store_true", help="have them validated, instead of removing them"
    )
    _add_origin(command)


def _add_origin(command: argparse.ArgumentParser) -> None:
    command.add_argument("--origin", default="", metavar="NAME", help="only this origin's")


def run_cache(parsed: argparse.Namespace, token: str | None) -> bool:
    """Does what the arguments say; whether all is well. Raises HeadgateErrors."""
    from proxy.admin.cache_client import CacheClient, purge_of, to_warm  # noqa: PLC0415  # as above

    client = CacheClient(parsed.admin, token, as_json=parsed.json)
    match parsed.deed:
        case "stats":
            return client.stats()
        case "ls":
            return client.objects(parsed.prefix, parsed.origin, parsed.limit)
        case "purge":
            how = {"tag": parsed.tag, "prefix": parsed.prefix, "soft": parsed.soft}
            return client.purge([purge_of(one, parsed.origin, **how) for one in parsed.targets])
        case "scrub":
            return client.scrub()
        case _:
            return client.warm(to_warm(parsed.target, parsed.origin))
