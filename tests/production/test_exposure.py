from __future__ import annotations

import textwrap

import pytest

from proxy.config import load
from proxy.production.exposure import check_exposure
from proxy.production.findings import Finding


def findings(text: str) -> list[Finding]:
    """What is said of a configuration, but for what is well."""
    assignments = [line for line in textwrap.dedent(text).splitlines() if line]
    base = ["server.workers=2", "server.graceful_timeout=2m"]
    if not any(line.startswith("origins") for line in assignments):
        base += ["origins.media.type=s3", "origins.media.bucket=media"]
    settings = load([], {}, [*base, *assignments]).settings
    return [one for one in check_exposure(settings) if one.severity != "ok"]


def test_a_sound_configuration_has_nothing_to_mend() -> None:
    assert findings("") == []


@pytest.mark.parametrize(
    ("text", "severity", "words"),
    [
        ("admin.bind=0.0.0.0:9090\nadmin.token=0123456789abcdef", "warning", "other machines"),
        ('admin.bind=""', "warning", "off"),
        ("admin.debug=on", "warning", "profiles"),
        ("admin.token=short", "error", "5 characters"),
        ("server.bind=0.0.0.0:80", "warning", "no TLS"),
        ("server.workers=1", "warning", "one processor"),
        ("server.graceful_timeout=1s", "warning", "cuts downloads"),
        ("log.level=debug", "warning", "debug"),
        ("log.access=false", "warning", "no line"),
        (
            "origins.a.type=s3\norigins.a.bucket=aaa\norigins.a.endpoint=http://store.example",
            "warning",
            "clear text",
        ),
        (
            "telemetry.endpoint=http://collector.example\ntelemetry.headers.x-key.value=abc",
            "warning",
            "clear text",
        ),
        ("origins.a.type=directory\norigins.a.root=/\norigins.a.show_hidden=true", "error", ".env"),
        (
            "origins.a.type=directory\norigins.a.root=/\norigins.a.follow_symlinks=anywhere",
            "error",
            "out of the root",
        ),
    ],
)
def test_what_is_unwise_or_wrong(text: str, severity: str, words: str) -> None:
    (finding,) = findings(text)
    assert finding.severity == severity
    assert words in finding.said
    assert finding.remedy


def test_who_decides_what_is_traced() -> None:
    reached = "server.bind=0.0.0.0:80\ntelemetry.endpoint=http://127.0.0.1:4318"
    assert "clients decide" in findings(reached)[-1].said
    assert len(findings(f"{reached}\ntelemetry.follow_requests=false")) == 1
    assert findings("telemetry.endpoint=http://127.0.0.1:4318") == []


def test_debugging_for_all_on_an_open_address_is_an_error() -> None:
    found = findings("admin.bind=0.0.0.0:9090\nadmin.token=0123456789abcdef\nadmin.debug=on")
    assert [one.severity for one in found] == ["error", "warning"]


def test_a_listing_is_mentioned() -> None:
    text = 'origins.a.type=directory\norigins.a.root=/\nmounts=[{path="/",origin="a",listing=true}]'
    (finding,) = findings(text)
    assert "listed" in finding.said


def test_no_token_is_shown() -> None:
    assert not any("tooshort" in f"{one}" for one in findings("admin.token=tooshort"))
