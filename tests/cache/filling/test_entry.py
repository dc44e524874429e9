"""What a process knows of objects: ages by a clock that does not go back, and bounds."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from proxy.cache.disk.format import Head, Label
from proxy.cache.filling import entry as module
from proxy.cache.filling.entry import Entries, Entry, Marks
from proxy.cache.rules.naming import slice_name, version_name
from proxy.semantics.etags import EntityTag
from proxy.semantics.freshness import Terms, Use, usable_on_error, use_of
from proxy.semantics.representation import Representation

NOW = 1.7e9  # 14 November 2023
TERMS = Terms()


Said = dict[str, Any]


class Clocks:
    """The wall clock and the other one, moved by hand."""

    def __init__(self) -> None:
        self.wall, self.steady = NOW, 5000.0

    def go(self, seconds: float) -> None:
        self.wall += seconds
        self.steady += seconds


@pytest.fixture
def clocks(monkeypatch: pytest.MonkeyPatch) -> Clocks:
    made = Clocks()
    monkeypatch.setattr(module, "time", lambda: made.wall)
    monkeypatch.setattr(module, "monotonic", lambda: made.steady)
    return made


def a_head(size: int = 2500, validated: float = NOW, said: Said | None = None) -> Head:
    known = replace(Representation(size, etag=EntityTag("a")), **(said or {}))
    return Head("store", "key", 1000, validated, known)


# --- one entry ----------------------------------------------------------------------------------


def test_its_slices() -> None:
    head = a_head()
    entry = Entry("name", head)
    assert entry.slices == 3
    assert [entry.length_of(index) for index in range(3)] == [1000, 1000, 500]
    assert entry.version == version_name(head.representation, 1000)
    assert entry.slice_name(2) == slice_name("name", entry.version, 2)
    assert entry.label_of(2) == Label("store", "key", entry.version, 2, 500)
    assert Entry("name", a_head(0)).slices == 0


def test_an_age_counts_from_the_validation(clocks: Clocks) -> None:
    entry = Entry("name", a_head(validated=NOW - 40))
    assert entry.age == 40
    clocks.go(10)
    assert entry.age == 50
    entry.now_valid(clocks.wall - 3)
    assert (entry.age, entry.head.validated) == (3, clocks.wall - 3)


def test_a_wall_clock_that_is_set_makes_nothing_fresher_or_older(clocks: Clocks) -> None:
    entry = Entry("name", a_head(validated=NOW))
    clocks.wall -= 10**6
    clocks.steady += 7
    assert entry.age == 7
    clocks.wall += 2 * 10**6
    assert entry.age == 7


def test_an_age_is_never_negative(clocks: Clocks) -> None:
    assert Entry("name", a_head(validated=NOW + 1000)).age == 0
    entry = Entry("name", a_head())
    entry.now_valid(NOW + 1000)
    assert entry.age == 0


def test_lifetimes_are_by_terms_and_made_anew_with_what_is_known(clocks: Clocks) -> None:
    entry = Entry("name", a_head())
    assert entry.lifetime(TERMS).fresh == 60
    assert entry.lifetime(Terms(ttl=5)).fresh == 5
    assert entry.lifetime(TERMS) is entry.lifetime(Terms())
    newer = replace(entry.representation, cache_control="max-age=7")
    entry.now_valid(NOW, newer)
    assert entry.lifetime(TERMS).fresh == 7
    assert entry.representation is newer


def test_expires_counts_from_the_validation(clocks: Clocks) -> None:
    entry = Entry("name", a_head(said={"expires": "Tue, 14 Nov 2023 22:15:20 GMT"}))
    assert entry.lifetime(TERMS).fresh == 120
    entry.now_valid(NOW + 100)
    assert entry.lifetime(TERMS).fresh == 20


def test_what_is_complete_stays_so() -> None:
    entry = Entry("name", a_head())
    entry.now_valid(NOW, entry.representation)
    assert not entry.head.complete
    entry.now_valid(NOW, entry.representation, complete=True)
    entry.now_valid(NOW, entry.representation)
    assert entry.head.complete


def test_one_of_the_same_version_renews_it(clocks: Clocks) -> None:
    entry = Entry("name", replace(a_head(), seal=(b"12345678",), sealed_by="sha256"))
    assert entry.lifetime(TERMS).fresh == 60
    clocks.go(100)
    head = a_head(validated=clocks.wall - 3, said={"cache_control": "max-age=7"})
    entry.renew(Entry("name", head, on_disk=True))
    assert entry.head == replace(head, seal=(b"12345678",), sealed_by="sha256")
    assert (entry.age, entry.on_disk, entry.dropped) == (3, True, False)
    assert entry.lifetime(TERMS).fresh == 7
    newer = replace(head, seal=(b"abcdefgh",), sealed_by="md5")
    entry.renew(Entry("name", newer))
    assert (entry.head, entry.on_disk) == (newer, True)


LONG_FRESH: list[Said] = [
    {},
    {"cache_control": "max-age=31536000, stale-while-revalidate=31536000"},
    {"cache_control": "max-age=99999999999, stale-while-revalidate=99999999999"},
    {"cache_control": "max-age=99999999999, stale-if-error=99999999999"},
    {"cache_control": "max-age=2147483647, immutable"},
    {"expires": "Thu, 01 Jan 2099 00:00:00 GMT"},
    {"cdn_cache_control": "max-age=2147483647"},
]


@pytest.mark.parametrize(
    ("said", "terms"),
    [*product(LONG_FRESH, [TERMS, Terms(ttl=2.0**31), Terms(default_ttl=2.0**31)])],
)
def test_what_was_purged_softly_is_validated_however_long_it_is_fresh(
    clocks: Clocks, said: Said, terms: Terms
) -> None:
    expired = Entry("name", a_head(said=said))
    assert use_of(expired.lifetime(terms), expired.age) is Use.FRESH
    expired.expire()
    read = Entry("name", a_head(validated=0.0, said=said), on_disk=True)
    for entry in (expired, read, Entry("name", expired.head)):
        assert entry.head.validated == 0
        for asked in (terms, Terms(stale_while_revalidate=2.0**31, stale_if_error=2.0**31)):
            lifetime = entry.lifetime(asked)
            assert use_of(lifetime, entry.age) is Use.VALIDATE
            assert not usable_on_error(lifetime, entry.age)
    expired.now_valid(NOW)
    assert expired.age == 0
    assert use_of(expired.lifetime(TERMS), expired.age) is Use.FRESH


# --- all of them --------------------------------------------------------------------------------


NAMES = "abcde"


class Known(RuleBasedStateMachine):
    """Entries beside a list, in which the one used last stands last."""

    def __init__(self) -> None:
        super().__init__()
        self.entries = Entries(most=3)
        self.listed: list[Entry] = []

    def find(self, name: str) -> Entry | None:
        return next((one for one in self.listed if one.name == name), None)

    @rule(name=st.sampled_from(NAMES))
    def put(self, name: str) -> None:
        before = self.find(name)
        entry = Entry(name, a_head())
        assert self.entries.put(entry) is before
        if before is not None:
            self.listed.remove(before)
        self.listed = [*self.listed, entry][-3:]

    @rule(name=st.sampled_from(NAMES))
    def get(self, name: str) -> None:
        found = self.find(name)
        assert self.entries.get(name) is found
        if found is not None:
            self.listed.remove(found)
            self.listed.append(found)

    @rule(name=st.sampled_from(NAMES))
    def remove(self, name: str) -> None:
        found = self.find(name)
        self.entries.remove(Entry(name, a_head()))  # another one of this name: it stays
        if found is not None:
            self.entries.remove(found)
            self.listed.remove(found)

    @invariant()
    def they_are_the_same(self) -> None:
        assert len(self.entries) == len(self.listed)
        assert list(self.entries) == self.listed


TestKnown = Known.TestCase


def test_entries_can_change_while_they_are_gone_through() -> None:
    entries = Entries()
    for name in NAMES:
        entries.put(Entry(name, a_head()))
    for one in entries:
        entries.remove(one)
    assert not len(entries)


# --- marks --------------------------------------------------------------------------------------


def test_marks_last_as_long_as_they_should(clocks: Clocks) -> None:
    marks = Marks()
    marks.set("a", 5)
    assert marks.has("a")
    assert not marks.has("b")
    clocks.go(4.9)
    assert marks.has("a")
    marks.set("a", 5)
    clocks.go(4.9)
    assert marks.has("a")
    clocks.wall += 1000
    assert marks.has("a")
    clocks.go(0.1)
    assert not marks.has("a")
    marks.set("a", 0)
    assert not marks.has("a")


def test_marks_are_forgotten(clocks: Clocks) -> None:
    marks = Marks()
    for name in NAMES:
        marks.set(name, 5)
    marks.discard("a")
    marks.discard("a")
    assert [marks.has(name) for name in NAMES] == [False, True, True, True, True]
    marks.clear()
    assert not any(map(marks.has, NAMES))


@given(st.lists(st.sampled_from(NAMES)))
def test_marks_are_bounded_and_the_newest_stay(names: list[str]) -> None:
    marks = Marks(most=3)
    for name in names:
        marks.set(name, 1000)
    newest = list(dict.fromkeys(reversed(names)))[:3]
    assert {name for name in NAMES if marks.has(name)} == set(newest)
    assert len(marks._until) == len(newest)
