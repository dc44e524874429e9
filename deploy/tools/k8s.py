"""Puts an overlay of deploy/k8s/ into the cluster that kubectl is set to.

    just k8s-deploy OVERLAY [--dry-run]    apply it and wait until it is there
    just k8s-diff OVERLAY                  what an apply would change; 1 if anything

OVERLAY is a name below deploy/k8s/overlays or a directory of one's own. It is rendered first, by
`kubectl kustomize`, so what is applied is what was shown. With --dry-run nothing is changed: the
objects are listed, and if a cluster answers it says of each whether it would take it.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

import yaml

OVERLAYS = Path(__file__).parents[1] / "k8s" / "overlays"
# Seconds. A pod that goes may take its whole graceful_timeout, and they go one after the other.
_ROLLOUT = 900
_OWNER = "--field-manager=headgate-deploy"


def main(arguments: list[str]) -> int:
    """The exit code of what was asked for."""
    parser = argparse.ArgumentParser(prog="just k8s-…")
    parser.add_argument("command", choices=("deploy", "diff", "render"))
    parser.add_argument("overlay", help="a name below deploy/k8s/overlays, or a directory")
    parser.add_argument("--dry-run", action="store_true", help="change nothing")
    parsed = parser.parse_args(arguments)
    text = render(parsed.overlay)
    if parsed.command == "render":
        print(text, end="")
        return 0
    if parsed.command == "diff":
        return kubectl(text, "diff", "--server-side", _OWNER, "--filename", "-")
    return _dry_run(text) if parsed.dry_run else _deploy(text)


def render(overlay: str) -> str:
    """An overlay's documents as YAML. SystemExit, with what kustomize says, if it can't be."""
    directory = (
        Path(overlay) if Path(overlay, "kustomization.yaml").exists() else OVERLAYS / overlay
    )
    if not directory.is_dir():
        names = ", ".join(sorted(one.name for one in OVERLAYS.iterdir()))
        raise SystemExit(f"k8s: there is no overlay {overlay}; there are {names}")
    command = [_program(), "kustomize", str(directory)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"k8s: {directory} can't be rendered: {done.stderr.strip()}")
    return done.stdout


def kubectl(text: str, *arguments: str) -> int:
    """Runs kubectl with `text` on its standard input; its exit code."""
    return subprocess.run([_program(), *arguments], input=text, text=True, check=False).returncode


def _program() -> str:
    return str(Path(sys.executable).with_name("kubectl"))


def _dry_run(text: str) -> int:
    for one in yaml.safe_load_all(text):
        name = one["metadata"]["name"]
        place = one["metadata"].get("namespace")
        print(f"would apply {one['kind']} {f'{place}/' if place else ''}{name}")
    sys.stdout.flush()
    ask = [_program(), "get", "--raw", "/version", "--request-timeout=3s"]
    if subprocess.run(ask, capture_output=True, check=False).returncode:
        print("no cluster answers, so none was asked whether it takes these")
        return 0
    return kubectl(text, "apply", "--server-side", _OWNER, "--dry-run=server", "--filename", "-")


def _deploy(text: str) -> int:
    applied = kubectl(text, "apply", "--server-side", _OWNER, "--filename", "-")
    if applied:
        return applied
    for one in yaml.safe_load_all(text):
        if one["kind"] == "Deployment":
            place, name = one["metadata"]["namespace"], one["metadata"]["name"]
            wait = ["rollout", "status", f"deployment/{name}", "--namespace", place]
            if code := kubectl("", *wait, f"--timeout={_ROLLOUT}s"):
                print(f"k8s: to go back: kubectl rollout undo deployment/{name} -n {place}")
                return code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
