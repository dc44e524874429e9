"""What is told of an answer, for each way it can have come about."""

from __future__ import annotations

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.cache.rules.standing import How, Presence, Standing, report_of
from proxy.semantics.cache_status import CacheReport, cache_status, summary

KEPT = Presence(memory=1)
ON_DISK = Presence(memory=1, disk=1)
NOWHERE = Presence(nowhere=1)
OURS = Presence(filling=1, begun=1)
ANOTHERS = Presence(filling=1)
SOME = Presence(memory=1, nowhere=1)
NO_SLICE = Presence()


def standing(how: How, age: float = 5.9, ttl: float = 54.1, status: int | None = None) -> Standing:
    return Standing(how, age, ttl, status=status)


@pytest.mark.parametrize(
    ("how", "presence", "said"),
    [
        ("hit", KEPT, "headgate; hit; ttl=54; detail=memory"),
        ("hit", ON_DISK, "headgate; hit; ttl=54; detail=disk"),
        ("hit", Presence(disk=2), "headgate; hit; ttl=54; detail=disk"),
        ("hit", NO_SLICE, "headgate; hit; ttl=54"),  # HEAD, or an empty object
        ("hit", NOWHERE, "headgate; fwd=miss; ttl=54; stored"),
        ("hit", SOME, "headgate; fwd=partial; ttl=54; stored"),
        ("hit", ANOTHERS, "headgate; fwd=miss; ttl=54; stored; collapsed"),
        ("hit", Presence(memory=1, filling=1), "headgate; fwd=partial; ttl=54; stored; collapsed"),
        ("stale", KEPT, "headgate; hit; ttl=54; detail=memory"),
        ("new", OURS, "headgate; fwd=uri-miss; fwd-status=206; ttl=54; stored"),
        ("new", NO_SLICE, "headgate; fwd=uri-miss; fwd-status=206; ttl=54"),
        ("new", Presence(disk=1), "headgate; fwd=partial; fwd-status=206; ttl=54"),
        ("new", Presence(filling=2, begun=1),
         "headgate; fwd=uri-miss; fwd-status=206; ttl=54; stored; collapsed"),
        ("validated", KEPT, "headgate; fwd=stale; fwd-status=206; ttl=54; stored"),
        ("validated", NOWHERE, "headgate; fwd=stale; fwd-status=206; ttl=54; stored"),
        ("completed", KEPT, "headgate; fwd=partial; fwd-status=206; ttl=54"),
        ("completed", NOWHERE, "headgate; fwd=miss; fwd-status=206; ttl=54; stored"),
        ("joined", KEPT, "headgate; fwd=miss; ttl=54; collapsed"),
        ("joined", ANOTHERS, "headgate; fwd=uri-miss; ttl=54; stored; collapsed"),
        ("joined", NOWHERE, "headgate; fwd=uri-miss; ttl=54; stored; collapsed"),
    ],
)  # fmt: skip
def test_what_is_said(how: How, presence: Presence, said: str) -> None:
    asked = how in ("new", "validated", "completed")
    report = report_of(standing(how, status=206 if asked else None), presence, keeps=True)
    assert cache_status(report).decode().split("; ") == _in_order(said)


def _in_order(said: str) -> list[str]:
    """As `cache_status` orders it: the time last but for the detail."""
    parts = said.split("; ")
    late = [one for one in parts if one.startswith("ttl")]
    last = [one for one in parts if one.startswith("detail")]
    return [one for one in parts if one not in late + last] + late + last


def test_an_age_is_told_of_what_was_kept() -> None:
    assert report_of(standing("hit"), KEPT, keeps=True).age == 5
    assert report_of(standing("joined"), KEPT, keeps=True).age == 5
    assert report_of(standing("new"), OURS, keeps=True).age is None
    assert report_of(standing("hit", age=-3.0), KEPT, keeps=True).age == 0
    assert report_of(standing("stale", age=1e10), KEPT, keeps=True).age == 2**31


def test_stale_is_told_by_its_time() -> None:
    report = report_of(standing("stale", age=70.0, ttl=-9.5), KEPT, keeps=True)
    assert (report.ttl, summary(report)) == (-10, "stale hit (memory)")


HOWS = [how for how in get_args(How) if how != "passed"]  # that has a report of its own


@given(
    st.builds(Standing, st.sampled_from(HOWS), st.floats(-1e10, 1e10), st.floats(-1e10, 1e10)),
    st.builds(Presence, *[st.integers(0, 3)] * 4, st.integers(0, 1)),
    st.booleans(),
)
def test_hits_and_forwards_exclude_each_other(
    standing: Standing, presence: Presence, keeps: bool
) -> None:
    report = report_of(standing, presence, keeps=keeps)
    assert report.hit == (report.fwd is None)
    assert report.ttl is not None
    assert keeps or not report.stored
    if report.hit:
        assert not presence.filling + presence.nowhere
        assert (report.stored, report.collapsed) == (False, False)
    assert report != CacheReport()


def test_kept_is_what_is_whole() -> None:
    assert Presence(memory=1, disk=2, filling=4, nowhere=8).kept == 3
