"""One run of a scenario, and its folder: `just load NAME`.

    just load files                                starts a store with data and Headgate, loads them
    just load files --target http://host/media/    loads what is named; its data: just load data
    just load smoke api --short                    several in turn, seconds each
    just load soak --duration 10m --users 50

The folder `.local/load/NAME-TIME/` holds run.json (what report and compare read), k6's dashboard,
summary.json, junit.xml, the logs, the operator's metrics before and after, and a profile. The exit
code is k6's: 99 when a threshold was crossed. A run ends by itself, whatever the server does.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.processes import started_on
from tests.load import door, machine, slow
from tests.load.data import make
from tests.load.memory import growth
from tests.load.scenarios import SCENARIOS
from tests.load.target import Target, started
from tests.load.throttle import Throttle
from tests.load.watch import Sample, Watch, counters_of_k6
from tests.servers.process import ServerFailed, free_ports, program

RUNS = Path(".local/load")
TOO_LONG = 124  # as timeout(1) has it
GREW = 98
_TIMES = ("before", "after")


@dataclass(frozen=True)
class Plan:
    """One run: its scenario, what was asked for on the command line, and where it goes."""

    name: str
    arguments: argparse.Namespace
    folder: Path
    manifest: Path
    share: machine.Share

    @property
    def limit(self) -> float:
        """Seconds after which the run is cut."""
        return SCENARIOS[self.name].limit(self.arguments.duration)


def main(given: list[str] | None = None) -> int:
    """Runs the scenarios named on the command line in turn; the first exit code that is not 0."""
    arguments = _read(given)
    manifest = make(RUNS / "data")
    if "data" in arguments.names:
        print(f"{manifest.parent / 'objects'} has the objects; put them below the target's URL")
        return 0
    share = machine.share(arguments.workers)
    codes = []
    try:
        with _target(arguments, manifest.parent, share) as target:
            for name in arguments.names:
                folder = RUNS / f"{name}-{time.strftime('%Y%m%d-%H%M%S')}"
                plan = Plan(name, arguments, folder, manifest, share)
                codes.append(_one(plan, target))
    except ServerFailed as failed:
        print(failed, file=sys.stderr)
        return 1
    return next(filter(None, codes), 0)


def _one(plan: Plan, target: Target) -> int:
    print(f"{plan.name}: {plan.folder}", flush=True)
    plan.folder.mkdir(parents=True)
    code = _measure(plan, target)
    if target.program is not None:
        (plan.folder / "headgate.log").write_text(target.program.output())
    print(f"  exit code {code}", flush=True)
    return code


def _read(given: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="just load", description="Runs of load scenarios.")
    parser.add_argument("names", metavar="NAME", nargs="+", choices=["data", *SCENARIOS])
    parser.add_argument("--target", help="URL below which the objects are; left out: our own")
    parser.add_argument("--tls-target", help="the same by TLS, for HTTP/2")
    parser.add_argument("--admin", help="URL of the target's operator's door")
    parser.add_argument("--origin", choices=["s3", "directory"], default="s3")
    parser.add_argument("--short", action="store_true", help="seconds instead of minutes")
    parser.add_argument("--users", type=int)
    parser.add_argument("--duration", help="90s, 10m, 1h")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument(
        "--set", action="append", default=[], help="for our Headgate, as it takes it"
    )
    parser.add_argument("--profile", type=int, default=5, help="seconds of it; 0: none")
    parser.add_argument(
        "--throttle", type=float, default=0.0, help="share of time our Headgate is held still"
    )
    return parser.parse_args(given)


@contextlib.contextmanager
def _target(arguments: argparse.Namespace, data: Path, share: machine.Share) -> Iterator[Target]:
    """The one that was named, or our own with what the scenarios need."""
    if arguments.target:
        yield Target(arguments.target, tls_url=arguments.tls_target, admin_url=arguments.admin)
        return
    print("starting SeaweedFS, its data and Headgate", flush=True)
    groups = frozenset[str]().union(*(SCENARIOS[name].groups for name in arguments.names))
    with started(data, groups, share, arguments.workers, arguments.set) as ours:
        yield ours if arguments.origin == "s3" else ours.by_directory()


def _measure(plan: Plan, target: Target) -> int:
    facts = machine.facts()
    _metrics(plan, target, _TIMES[0])
    began = time.time()
    code, samples, generator_cpu = _run(plan, target)
    took = time.time() - began
    _metrics(plan, target, _TIMES[1])
    grew = growth(samples) if plan.name == "soak" else None
    if grew is not None and grew.fails and code == 0:
        print(f"  FAIL memory: {grew}")
        code = GREW
    summary = plan.folder / "summary.json"
    record = {
        "name": plan.name,
        "target": plan.arguments.target or "our own",
        "arguments": {k: v for k, v in vars(plan.arguments).items() if v is not None},
        "began": began,
        "seconds": took,
        "exit_code": code,
        "generator_cpu": generator_cpu,
        "pinned": {"server": sorted(plan.share.server), "generator": sorted(plan.share.generator)},
        "machine": facts,
        "load_average_after": os.getloadavg(),
        "counted": door.gained(*(plan.folder / f"metrics-{when}.txt" for when in _TIMES)),
        "samples": samples,
        "metrics": json.loads(summary.read_text())["metrics"] if summary.exists() else {},
    }
    (plan.folder / "run.json").write_text(json.dumps(record, indent=1))
    return code


def _metrics(plan: Plan, target: Target, when: str) -> None:
    if target.admin_url:
        door.save(f"{target.admin_url}/metrics", plan.folder / f"metrics-{when}.txt")


def _run(plan: Plan, target: Target) -> tuple[int, list[Sample], float]:
    """The generator's exit code, the samples of the watch, and its seconds of processor time."""
    arguments = plan.arguments
    port = free_ports(1)[0]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with ExitStack() as stack:
        generator = _start(plan, target, port)
        stack.callback(generator.kill)
        server = target.program.pid if target.program else None
        store = target.store.pid if target.store else None
        watch = Watch(generator.pid, server, store, lambda: counters_of_k6(port))
        stack.enter_context(watch)
        if server is not None and arguments.throttle:
            stack.enter_context(Throttle(server, arguments.throttle))
        if target.admin_url and arguments.profile:
            path = plan.folder / "profile.html"
            stack.enter_context(door.profile(target.admin_url, arguments.profile, path))
        code = _wait(generator, plan.limit)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return code, watch.samples, cpu


def _start(plan: Plan, target: Target, port: int) -> subprocess.Popen[bytes]:
    environment = {**os.environ, **_told(plan, target)}
    if plan.name == "slow":
        command = [sys.executable, "-m", slow.__name__]
    else:
        script = Path("k6") / f"{plan.name}.js"
        command = [program("k6"), "run", "--quiet", "--address", f"127.0.0.1:{port}", str(script)]
    with started_on(plan.share.generator), (plan.folder / "generator.log").open("wb") as log:
        # What it says while it runs goes to its log; the summary at the end to the terminal.
        return subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stderr=log)


def _told(plan: Plan, target: Target) -> dict[str, str]:
    arguments = plan.arguments
    told = {
        "NAME": plan.name,
        "BASE_URL": target.base_url,
        "OTHER_URL": target.other_url,
        "TLS_URL": target.tls_url,
        "ADMIN_URL": target.admin_url,
        "MANIFEST": str(plan.manifest.resolve()),
        "OUT": str(plan.folder.resolve()),
        "SHORT": "1" if arguments.short else None,
        "USERS": arguments.users,
        "DURATION": arguments.duration,
        "SERVER_PID": target.program.pid if target.program else None,
        "K6_NO_USAGE_REPORT": "true",
        "K6_WEB_DASHBOARD": "true",
        "K6_WEB_DASHBOARD_PORT": "-1",  # the page at the end, no server of its own
        "K6_WEB_DASHBOARD_PERIOD": "1s",
        "K6_WEB_DASHBOARD_EXPORT": str(plan.folder.resolve() / "dashboard.html"),
        "K6_NO_COLOR": "true",
    }
    return {name: str(value) for name, value in told.items() if value is not None}


def _wait(generator: subprocess.Popen[bytes], limit: float) -> int:
    """Its exit code; after `limit` seconds it is told to end, and 10 s later ended."""
    try:
        return generator.wait(limit)
    except subprocess.TimeoutExpired:
        print(f"  FAIL it took longer than {limit:.0f} s and is cut")
    generator.send_signal(signal.SIGINT)
    try:
        generator.wait(10)
    except subprocess.TimeoutExpired:
        generator.kill()
        generator.wait()
    return TOO_LONG


if __name__ == "__main__":
    sys.exit(main())
