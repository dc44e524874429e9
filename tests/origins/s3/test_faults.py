from __future__ import annotations

import pytest

from proxy.errors import (
    Fault,
    Forbidden,
    NotFound,
    OriginFault,
    OriginRefused,
    OriginTimeout,
    OriginUnavailable,
    TargetTooLong,
)
from proxy.origins.s3.faults import Refusal, fault_of, parse_retry_after, refusal_of

NOW = 1_000_000_000.0


@pytest.mark.parametrize(
    ("status", "code", "signed", "kind"),
    [
        (404, "NoSuchKey", True, NotFound),
        (404, "", True, NotFound),
        (404, "NoSuchBucket", True, OriginFault),
        (403, "AccessDenied", True, OriginRefused),
        (403, "AccessDenied", False, Forbidden),
        (403, "", False, Forbidden),
        (401, "", True, OriginRefused),
        (403, "InvalidObjectState", True, OriginFault),
        (403, "RequestTimeTooSkewed", True, OriginRefused),
        (400, "ExpiredToken", True, OriginRefused),
        (400, "KeyTooLongError", True, TargetTooLong),
        (400, "InvalidArgument", True, OriginFault),
        (400, "RequestTimeout", True, OriginUnavailable),
        (301, "PermanentRedirect", True, OriginFault),
        (307, "", False, OriginFault),
        (429, "", True, OriginUnavailable),
        (500, "InternalError", True, OriginUnavailable),
        (500, "", True, OriginUnavailable),
        (501, "NotImplemented", True, OriginFault),
        (502, "", True, OriginFault),
        (503, "SlowDown", True, OriginUnavailable),
        (504, "", True, OriginTimeout),
        (200, "", True, OriginFault),
    ],
)
def test_each_refusal_is_one_fault(status: int, code: str, signed: bool, kind: type[Fault]) -> None:
    assert type(fault_of(Refusal(status, code), signed=signed)) is kind


def test_the_detail_names_code_and_request_and_hints_at_list_permission() -> None:
    body = b"<Error><Code>AccessDenied</Code><Message>secret</Message><RequestId>R7</RequestId>"
    refusal = refusal_of(403, {}, body, NOW)
    fault = fault_of(refusal, signed=True)
    assert fault.detail.startswith("the store answered 403 AccessDenied (request id R7)")
    assert "s3:ListBucket" in fault.detail
    assert "secret" not in fault.detail


def test_a_redirect_names_the_region_and_not_the_place() -> None:
    headers = {"location": "http://evil.example/", "x-amz-bucket-region": "eu-west-1"}
    fault = fault_of(refusal_of(301, headers, b"", NOW), signed=True)
    assert "region eu-west-1" in fault.detail
    assert "evil" not in fault.detail


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>no</html>",
        b"<Error><Code>a b\r\nx-injected: 1</Code>",
        b"<Error><Code>" + b"x" * 1000,
        b"\xff\xfe<\x00C\x00",
    ],
)
def test_other_documents_give_no_code(body: bytes) -> None:
    assert refusal_of(404, {"x-amz-request-id": "bad\r\nid"}, body, NOW) == Refusal(404)


def test_the_first_code_counts() -> None:
    body = b"<Error><Code>NoSuchKey</Code><Other><Code>NoSuchBucket</Code></Other></Error>"
    assert refusal_of(404, {}, body, NOW).code == "NoSuchKey"


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("", None),
        ("0", 0),
        ("7", 7),
        (" 7 ", 7),
        ("61", 60),
        ("9" * 50, 60),
        ("-1", None),
        ("1.5", None),
        ("٣", None),
        ("Sun, 09 Sep 2001 01:47:00 GMT", 20),
        ("Sun, 09 Sep 2001 01:00:00 GMT", 0),
        ("Sun, 09 Sep 2001 03:00:00 GMT", 60),
        ("soon", None),
    ],
)
def test_retry_after(value: str | None, seconds: int | None) -> None:
    assert parse_retry_after(value, NOW) == seconds


def test_retry_after_reaches_the_fault() -> None:
    fault = fault_of(refusal_of(503, {"retry-after": "9"}, b"", NOW), signed=True)
    assert fault.retry_after == 9
    assert fault_of(Refusal(503), signed=True).retry_after == 2
