"""The command line: serve, check, config, verify, trace, cache, samples.

Exit codes: 0 when all is well; 1 when `check` found a fault, `verify` or `cache scrub` found
damage, something could not be read, a purge is not complete, or Headgate could not start; 2 when
the command or the configuration it was given can't be used; 130 when interrupted. What a command
needs is imported when it runs, so that `check` loads no server.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from proxy import __version__
from proxy.admin.cache_arguments import add_cache, run_cache
from proxy.config import Loaded, load
from proxy.errors import ConfigurationError, HeadgateError

OK: Final = 0
FAILED: Final = 1
UNUSABLE: Final = 2
INTERRUPTED: Final = 130  # as a shell says of a process that SIGINT ended

USUAL_FILES: Final = (Path("headgate.toml"), Path("/etc/headgate/headgate.toml"))

_NO_FILE: Final = """\
No configuration: there is neither ./headgate.toml nor /etc/headgate/headgate.toml.
Name one with --config FILE. Of those that come with Headgate, config/local.toml serves a
directory, config/s3.toml a bucket, and config/production.toml is the one to deploy from."""


_ABOUT_VERIFY: Final = """\
Reads objects to their end and compares them with the checksums their store keeps: of the
whole, or of the parts they were uploaded in. Per object the result is one of

  verified      the bytes are those the store promised
  mismatch      they are not
  unverifiable  there is nothing to check by: no checksum, or a composite one of unknown parts
  failed        it could not be read

With --deep each object that can be checked is read again in ranges, which are put together and
compared too: what players and caches get. Exit code 0 if nothing was damaged and all could be
read, 1 if not, 2 if the command or the configuration can't be used."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and gives its exit code; `arguments` are the process's own by default."""
    parsed = _parser().parse_args(arguments)
    run: Callable[[argparse.Namespace], int] = parsed.run
    try:
        return run(parsed)
    except ConfigurationError as error:
        _complain(str(error))
        return FAILED if parsed.run is _check else UNUSABLE
    except HeadgateError as error:
        _complain(f"headgate: {error}")
        return FAILED
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # `headgate config | head`: who reads has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK


# --- commands ---------------------------------------------------------------------------------


def _serve(parsed: argparse.Namespace) -> int:
    load_again = _loader(parsed)
    loaded = [load_again()]  # its faults are told before the server is even imported

    from proxy.assembly import serve  # noqa: PLC0415  # `check` shall load no server

    return serve(lambda: loaded.pop() if loaded else load_again())


def _worker(parsed: argparse.Namespace) -> int:
    from proxy.assembly import worker  # noqa: PLC0415  # as above

    return worker(parsed.control)


def _check(parsed: argparse.Namespace) -> int:
    loaded = _loader(parsed)()
    if not parsed.production:
        return OK
    from proxy.production.check import report  # noqa: PLC0415  # it loads the origins

    return OK if report(loaded, sys.stdout) else FAILED


def _config(parsed: argparse.Namespace) -> int:
    lines = _schema_lines() if parsed.schema else _config_lines(parsed)
    sys.stdout.writelines(f"{line}\n" for line in lines)
    sys.stdout.flush()
    return OK


def _schema_lines() -> Iterator[str]:
    from proxy.config.schema import json_schema  # noqa: PLC0415  # others have no use for it

    yield json.dumps(json_schema(), indent=2, ensure_ascii=False)


def _config_lines(parsed: argparse.Namespace) -> Iterator[str]:
    from proxy.config.render import render  # noqa: PLC0415  # as above

    return render(_loader(parsed)())


def _trace(parsed: argparse.Namespace) -> int:
    from proxy.admin.client import trace  # noqa: PLC0415  # as above

    chosen = {"status": parsed.status, "path": parsed.path, "slower": parsed.slower}
    trace(parsed.admin, _token(parsed), chosen, sys.stdout, as_json=parsed.json)
    return OK


def _cache(parsed: argparse.Namespace) -> int:
    return OK if run_cache(parsed, _token(parsed)) else FAILED


def _token(parsed: argparse.Namespace) -> str | None:
    """Never from the command line, which everyone on the machine can read."""
    if parsed.token_file is None:
        return os.environ.get("HEADGATE_ADMIN__TOKEN")
    try:
        return str(parsed.token_file.read_text(encoding="utf-8")).strip()
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{parsed.token_file}: can't be read: {error}") from None


def _verify(parsed: argparse.Namespace) -> int:
    loaded = _loader(parsed)()

    from proxy.verifying import Errand, verify  # noqa: PLC0415  # as above

    errand = Errand(parsed.targets, parsed.origin, deep=parsed.deep, as_json=parsed.json)
    return OK if verify(loaded.settings, errand) else FAILED


def _samples(parsed: argparse.Namespace) -> int:
    from proxy.samples import make  # noqa: PLC0415  # as above

    make(parsed.directory)
    return OK


# --- configuration ----------------------------------------------------------------------------


def _loader(parsed: argparse.Namespace) -> Callable[[], Loaded]:
    """Reads the same configuration at each call, and says what is unwise about it."""
    files = _files(parsed)

    def load_now() -> Loaded:
        loaded = load(files, os.environ, parsed.set)
        for warning in loaded.warnings:
            _complain(f"warning: {warning}")
        return loaded

    return load_now


def _files(parsed: argparse.Namespace) -> list[Path]:
    """The files named, or else the first of the usual ones; none where variables say it all."""
    if parsed.config:
        return list(parsed.config)
    for file in USUAL_FILES:
        if file.exists():
            return [file]
    says_origins = any(name.upper().startswith("HEADGATE_ORIGINS") for name in os.environ)
    if says_origins or any(text.startswith("origins") for text in parsed.set):
        return []
    raise ConfigurationError(_NO_FILE)


def _complain(text: str) -> None:
    sys.stderr.write(f"{text}\n")


# --- arguments --------------------------------------------------------------------------------


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="headgate", description="An edge streaming proxy in front of object storage."
    )
    parser.add_argument("--version", action="version", version=f"headgate {__version__}")
    commands = parser.add_subparsers(
        title="commands", required=True, metavar="{serve,check,config,verify,trace,cache,samples}"
    )
    _add_configured(commands, "serve", _serve, "serve until told to stop; SIGHUP reloads")
    check = _add_configured(commands, "check", _check, "say what is wrong with the configuration")
    check.add_argument(
        "--production",
        action="store_true",
        help="look at the machine, certificates, origins and exposure too; 1 if anything fails",
    )
    config = _add_configured(
        commands, "config", _config, "print the configuration and where each value came from"
    )
    config.add_argument(
        "--schema", action="store_true", help="print the JSON Schema of the configuration"
    )
    _add_trace(commands)
    add_cache(commands, _add_door, _cache)
    _add_verify(commands)
    samples = commands.add_parser("samples", help="make files to try Headgate with")
    samples.add_argument("directory", type=Path, metavar="DIR", help="where to make them")
    samples.set_defaults(run=_samples)
    worker = commands.add_parser("worker")  # without help, it isn't listed: `serve` starts it
    worker.add_argument("control", type=int, help="descriptor of the socket to its supervisor")
    worker.set_defaults(run=_worker)
    return parser


def _add_trace(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    what = "show the responses of a running Headgate as they end"
    command = commands.add_parser("trace", help=what, description=f"{what.capitalize()}.")
    _add_door(command)
    command.add_argument("--status", default="", metavar="S", help='only these: "404", "4xx,503"')
    command.add_argument("--path", default="", metavar="P", help='only below: "/videos/**"')
    command.add_argument(
        "--slower", default="", metavar="T", help='only those that took as long: "250ms"'
    )
    command.add_argument("--json", action="store_true", help="one JSON object per line")
    command.set_defaults(run=_trace)


def _add_door(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--admin",
        default="http://127.0.0.1:9090",
        metavar="URL",
        help="the operator's door (default: %(default)s)",
    )
    command.add_argument(
        "--token-file",
        type=Path,
        metavar="FILE",
        help="file with its token (default: the variable HEADGATE_ADMIN__TOKEN)",
    )


def _add_verify(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    verify = _add_configured(
        commands, "verify", _verify, "check objects against the checksums their store keeps"
    )
    verify.description = _ABOUT_VERIFY
    verify.formatter_class = argparse.RawDescriptionHelpFormatter
    verify.add_argument(
        "targets",
        nargs="+",
        metavar="TARGET",
        help="a key; a prefix, which ends in a slash (or is empty: all keys); or a URL or public "
        "path of this configuration, which begins with a slash",
    )
    verify.add_argument(
        "--origin", metavar="NAME", help="the origin whose keys are named, if there are several"
    )
    verify.add_argument(
        "--deep", action="store_true", help="read each object a second time, in ranges"
    )
    verify.add_argument("--json", action="store_true", help="one JSON object per line")


def _add_configured(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    run: Callable[[argparse.Namespace], int],
    what: str,
) -> argparse.ArgumentParser:
    """A command that reads the configuration."""
    command = commands.add_parser(name, help=what, description=f"{what.capitalize()}.")
    command.add_argument(
        "--config",
        action="append",
        type=Path,
        default=[],
        metavar="FILE",
        help="TOML file; a later one goes over those before (default: ./headgate.toml, else "
        "/etc/headgate/headgate.toml)",
    )
    command.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="one option over files and HEADGATE_ variables: --set server.workers=2",
    )
    command.set_defaults(run=run)
    return command
