from __future__ import annotations

import datetime as dt
import ssl
import time
from pathlib import Path

import pytest
import trustme

from proxy.production.files import (
    DAY,
    check_certificate,
    check_certificate_now,
    check_private,
    described,
)

NOW = time.time()


def issue(
    directory: Path,
    *,
    not_before: dt.datetime | None = None,
    not_after: dt.datetime | None = None,
) -> tuple[Path, Path]:
    issued = trustme.CA().issue_cert("edge.example", not_before=not_before, not_after=not_after)
    certificate, key = directory / "certificate.pem", directory / "key.pem"
    issued.cert_chain_pems[0].write_to_path(certificate)
    issued.private_key_pem.write_to_path(key)
    key.chmod(0o600)
    return certificate, key


def in_days(days: float) -> dt.datetime:
    return dt.datetime.fromtimestamp(NOW, dt.UTC) + dt.timedelta(days=days)


@pytest.mark.parametrize(
    ("days", "severity"), [(90, "ok"), (31, "ok"), (29, "warning"), (8, "warning"), (6, "error")]
)
def test_a_certificate_must_have_weeks_left(tmp_path: Path, days: int, severity: str) -> None:
    certificate, key = issue(tmp_path, not_after=in_days(days))
    (finding,) = check_certificate(certificate, key, NOW)
    assert finding.severity == severity
    assert f"{days} days" in finding.said


def test_one_that_has_expired_or_is_not_valid_yet_is_an_error(tmp_path: Path) -> None:
    expired = issue(tmp_path, not_before=in_days(-9), not_after=in_days(-1))
    (finding,) = check_certificate(*expired, NOW)
    assert (finding.severity, "has expired" in finding.said) == ("error", True)
    early = issue(tmp_path, not_before=in_days(1), not_after=in_days(90))
    (finding,) = check_certificate(*early, NOW)
    assert (finding.severity, "not valid yet" in finding.said) == ("error", True)


def test_its_names_are_read_without_trusting_it(tmp_path: Path) -> None:
    told = described(*issue(tmp_path, not_after=in_days(50)))
    assert told["subjectAltName"] == (("DNS", "edge.example"),)
    assert ssl.cert_time_to_seconds(str(told["notAfter"])) == pytest.approx(NOW + 50 * DAY, abs=2)


def test_one_that_signed_itself_is_unwise(tmp_path: Path) -> None:
    authority = trustme.CA()
    certificate, key = tmp_path / "c.pem", tmp_path / "k.pem"
    authority.cert_pem.write_to_path(certificate)
    authority.private_key_pem.write_to_path(key)
    said = [one.said for one in check_certificate(certificate, key, NOW)]
    assert any("signed itself" in one for one in said)
    assert any("names no host" in one for one in said)


def test_files_that_are_none_are_an_error(tmp_path: Path) -> None:
    certificate, key = issue(tmp_path)
    certificate.write_text("no certificate")
    (finding,) = check_certificate(certificate, key, NOW)
    assert finding.severity == "error"
    (finding,) = check_certificate(tmp_path / "missing", key, NOW)
    assert finding.severity == "error"


@pytest.mark.parametrize(
    ("mode", "severity"),
    [(0o600, "ok"), (0o440, "ok"), (0o660, "warning"), (0o644, "error"), (0o601, "error")],
)
def test_a_secret_is_for_its_owner(tmp_path: Path, mode: int, severity: str) -> None:
    file = tmp_path / "secret"
    file.write_text("x")
    file.chmod(mode)
    (finding,) = check_private("admin.token_file", file)
    assert finding.severity == severity
    assert finding.about == "admin.token_file"
    assert (finding.remedy == "") == (severity == "ok")


def test_a_secret_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    (finding,) = check_private("x", tmp_path / "missing")
    assert finding.severity == "error"


def test_the_key_is_looked_at_with_the_certificate(tmp_path: Path) -> None:
    certificate, key = issue(tmp_path, not_after=in_days(90))
    key.chmod(0o644)
    assert [one.severity for one in check_certificate_now(certificate, key)] == ["ok", "error"]
