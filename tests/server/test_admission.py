"""Limits on connections, as a pure count."""

from __future__ import annotations

import pytest

from proxy.server.admission import Admission, party_of


def test_the_limit_in_all() -> None:
    admission = Admission(2, 0)
    assert [admission.admit(one) for one in "abc"] == [True, True, False]
    admission.dismiss("a")
    assert admission.admit("c")
    assert admission.count == 2


def test_the_limit_for_each_party() -> None:
    admission = Admission(0, 1)
    assert [admission.admit(one) for one in ("a", "a", "b", "", "")] == [
        True, False, True, True, True,
    ]  # fmt: skip
    admission.dismiss("a")
    assert admission.admit("a")


@pytest.mark.parametrize(
    ("host", "party"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
    ],
)
def test_who_counts_as_one(host: str, party: str) -> None:
    assert party_of(host) == party
