"""The store of prepared answers: what is found in it, what falls out, and how large it gets."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace

import pytest

from proxy.integrity.digest_memory import DigestMemory, name_of
from proxy.integrity.verdict import Verdict
from proxy.observability.hot_tally import Kind
from proxy.semantics.etags import EntityTag
from proxy.semantics.plan import Policy
from proxy.semantics.representation import Representation
from proxy.server.delivery import Recipe
from proxy.server.prepared import MOST_BODY, Made, PreparedAnswer, PreparedAnswers

BODY = b"0123456789"
WHAT = Representation(len(BODY), EntityTag("tag"), 1_700_000_000, "text/plain")
DATE = b"Tue, 14 Nov 2023 22:13:20 GMT"
GET, HEAD = b"GET", b"HEAD"


class ALease:
    def __init__(self) -> None:
        self.over = False
        self.asked = 0

    def holds(self) -> bool:
        self.asked += 1
        return not self.over


def made(
    path: bytes = b"/a",
    *,
    lease: ALease | None = None,
    body: bytes | None = BODY,
    representation: Representation = WHAT,
    recipe: Recipe | None = None,
) -> Made:
    recipe = recipe or Recipe("a", representation, Policy())
    return Made(path, recipe, lease or ALease(), "origin", body, Verdict("verified", "crc32"))


def store(most: int = 1 << 20, memory: DigestMemory | None = None) -> PreparedAnswers:
    return PreparedAnswers(most, 100, 7.0, DigestMemory() if memory is None else memory)


def _size_of_one() -> int:
    answers = store()
    answers.keep(made())
    return answers.size


SIZE = _size_of_one()


def fields_of(answer: PreparedAnswer | None) -> dict[bytes, bytes]:
    assert answer is not None
    return dict(answer.fields)


# --- what is found ----------------------------------------------------------------------------


def test_one_answer_brings_four() -> None:
    answers = store()
    answers.keep(made())
    whole, head = answers.find(GET, b"/a", []), answers.find(HEAD, b"/a", [])
    assert whole is not None
    assert head is not None
    assert (whole.status, whole.body, whole.bodyless, whole.patience) == (200, BODY, False, 7.0)
    assert (whole.length, whole.origin, whole.verification) == (10, "origin", "crc32 verified")
    assert whole.kind("2") == Kind("GET", 200, "2", True, ("crc32", "verified", ""))
    assert (head.status, head.body, head.bodyless, head.verification) == (200, b"", True, "")
    assert head.kind("1.1") == Kind("HEAD", 200, "1.1", False, None)
    assert fields_of(head) == fields_of(whole)
    for method in (GET, HEAD):
        same = answers.find(method, b"/a", [(b"if-none-match", b'"tag"')])
        assert same is not None
        assert (same.status, same.body, same.bodyless, same.length) == (304, b"", True, 0)
        assert same.method == method.decode()
        assert b"content-length" not in fields_of(same)


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ([(b"if-none-match", b'"tag"')], 304),
        ([(b"if-none-match", b'W/"tag"')], 304),
        ([(b"if-none-match", b'"other"')], None),
        ([(b"if-none-match", b'"tag", "other"')], None),
        ([(b"if-none-match", b"*")], None),
        ([(b"if-modified-since", DATE)], 304),
        ([(b"if-modified-since", b"Tue, 14 Nov 2023 22:13:21 GMT")], None),
        ([(b"if-none-match", b'"tag"'), (b"if-modified-since", b"whatever")], 304),
        ([(b"if-none-match", b'"other"'), (b"if-modified-since", DATE)], None),
        ([(b"accept-encoding", b"br")], 200),
        ([(b"range", b"bytes=0-")], None),
    ],
)
def test_conditions(fields: list[tuple[bytes, bytes]], status: int | None) -> None:
    answers = store()
    answers.keep(made())
    found = answers.find(GET, b"/a", fields)
    assert (None if found is None else found.status) == status


def test_a_weak_tag_is_compared_weakly() -> None:
    answers = store()
    answers.keep(made(representation=replace(WHAT, etag=EntityTag("tag", weak=True))))
    for value in (b'"tag"', b'W/"tag"'):
        assert answers.find(GET, b"/a", [(b"if-none-match", value)]) is not None


def test_without_validators_there_is_nothing_to_compare() -> None:
    answers = store()
    answers.keep(made(representation=Representation(10)))
    assert answers.find(GET, b"/a", []) is not None
    assert answers.find(GET, b"/a", [(b"if-none-match", b'"None"')]) is None
    assert answers.find(GET, b"/a", [(b"if-modified-since", DATE)]) is None


@pytest.mark.parametrize(
    ("method", "target"),
    [(b"POST", b"/a"), (b"get", b"/a"), (GET, b"/b"), (GET, b"/a?download"), (GET, b"/b?v=1")],
)
def test_what_is_not_found(method: bytes, target: bytes) -> None:
    answers = store()
    answers.keep(made())
    assert answers.find(method, target, []) is None


def test_a_query_without_meaning_changes_nothing() -> None:
    answers = store()
    answers.keep(made())
    assert answers.find(GET, b"/a?v=17", []) is answers.find(GET, b"/a", [])
    assert answers.find(GET, b"/a?" + b"v" * 200, []) is None
    assert answers.takes(b"/a?v=17", []) == b"/a"
    assert answers.takes(b"/a?download", []) is None
    assert answers.takes(b"/a", [(b"range", b"bytes=0-")]) is None


def test_without_a_body_only_the_others_are_there_until_one_is_read() -> None:
    answers = store()
    answers.keep(made(body=None))
    assert answers.find(GET, b"/a", []) is None
    assert answers.find(HEAD, b"/a", []) is not None
    assert answers.find(GET, b"/a", [(b"if-none-match", b'"tag"')]) is not None
    answers.keep(made())
    assert answers.find(GET, b"/a", []) is not None


def test_an_empty_body_is_one() -> None:
    answers = store()
    answers.keep(made(body=b"", representation=replace(WHAT, size=0)))
    found = answers.find(GET, b"/a", [])
    assert found is not None
    assert not found.bodyless


# --- codings ----------------------------------------------------------------------------------

CODINGS = ("br", "gzip")


def coded(accepted: tuple[str, ...], body: bytes, *absent: ALease | None) -> Made:
    return made(body=body, recipe=Recipe("a", WHAT, Policy(), CODINGS, accepted, absent))


def test_each_client_gets_what_it_accepts() -> None:
    answers = store()
    answers.keep(coded(("br", "gzip"), b"br"))
    answers.keep(coded(("gzip",), b"gzip"))
    answers.keep(coded((), b"identity"))

    def body(*values: bytes) -> bytes | None:
        found = answers.find(GET, b"/a", [(b"accept-encoding", value) for value in values])
        return None if found is None else found.body

    assert body(b"gzip, deflate, br") == b"br"
    assert body(b"gzip, deflate") == b"gzip"
    assert body(b"identity") == body() == b"identity"
    assert body(b"br") is None  # nobody asked so yet
    assert body(b"gzip", b"br") is None


def test_readings_of_accept_encoding_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.server.prepared._MOST_READINGS", 4)
    answers = store()
    answers.keep(coded(("gzip",), b"gzip"))
    for number in range(20):
        assert answers.find(GET, b"/a", [(b"accept-encoding", b"gzip, x-%d" % number)]) is not None
    assert len(answers._readings) <= 4


def test_what_was_not_there_must_still_not_be() -> None:
    answers, missing = store(), ALease()
    answers.keep(coded(("br", "gzip"), b"gzip", missing))
    asked = [(b"accept-encoding", b"gzip, br")]
    assert answers.find(GET, b"/a", asked) is not None
    missing.over = True
    assert answers.find(GET, b"/a", asked) is None


def test_where_that_can_not_be_known_nothing_is_kept() -> None:
    answers = store()
    answers.keep(coded(("br", "gzip"), b"gzip", None))
    assert answers.find(GET, b"/a", [(b"accept-encoding", b"gzip, br")]) is None
    assert answers.size == 0


# --- for how long -----------------------------------------------------------------------------


def test_each_answer_asks_its_lease_and_is_dropped_when_that_is_over() -> None:
    answers, lease = store(), ALease()
    answers.keep(made(lease=lease))
    for fields in ([], [(b"if-none-match", b'"tag"')]):
        assert answers.find(GET, b"/a", fields) is not None
    assert answers.find(HEAD, b"/a", []) is not None
    assert lease.asked == 3
    lease.over = True
    assert answers.find(GET, b"/a", []) is None
    assert answers.size == 0
    lease.over = False
    assert answers.find(GET, b"/a", []) is None


def test_a_new_version_takes_the_place_of_the_old() -> None:
    answers = store()
    answers.keep(made())
    before = answers.size
    answers.keep(made(body=b"new"))
    found = answers.find(GET, b"/a", [])
    assert found is not None
    assert found.body == b"new"
    assert answers.size == before - len(BODY) + 3


def test_a_digest_that_became_known_is_told() -> None:
    memory = DigestMemory()
    answers = store(memory=memory)
    answers.keep(made())
    assert answers.find(GET, b"/a", []) is not None
    name = name_of("origin", "a", WHAT)
    assert name is not None
    memory.remember(b"of something else", "sha-256", b"x")
    assert answers.find(GET, b"/a", []) is not None
    memory.remember(name, "sha-256", b"x" * 32)
    assert answers.find(GET, b"/a", []) is None


def test_a_digest_that_became_known_on_the_way_is_told() -> None:
    memory = DigestMemory()
    answers = store(memory=memory)
    name = name_of("origin", "a", WHAT)
    assert name is not None
    memory.remember(name, "sha-256", b"x" * 32)  # after the answer was planned
    answers.keep(made())
    assert answers.find(GET, b"/a", []) is None


# --- how much ---------------------------------------------------------------------------------


def test_what_was_not_asked_for_falls_out_first() -> None:
    answers = store(most=3 * (SIZE))
    for name in (b"/a", b"/b", b"/c"):
        answers.keep(made(name))
    assert answers.find(GET, b"/a", []) is not None
    answers.keep(made(b"/d"))
    found = [name for name in (b"/a", b"/b", b"/c", b"/d") if answers.find(GET, name, [])]
    assert found == [b"/a", b"/c", b"/d"]


def test_what_is_too_large_for_all_of_it_is_not_kept() -> None:
    answers = store(most=SIZE - 1)
    answers.keep(made())
    assert answers.find(GET, b"/a", []) is None
    assert answers.size == 0


@pytest.mark.parametrize("size", [0, 1000, MOST_BODY])
def test_the_store_takes_no_more_memory_than_it_counts(size: int) -> None:
    most = 4 << 20
    answers = store(most)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for number in range(most // (SIZE + size) * 2):
            path = b"/folder/%050d" % number
            what = Representation(size, EntityTag(f"{number:032x}"), number, "text/plain")
            answers.keep(made(path, body=bytes(bytearray(size)), representation=what))
            for method in (GET, HEAD):
                found = answers.find(method, path, [])
                assert found is not None
                found.written.http1 = found.written.http2 = (b"before" * 8, b"behind" * 80)
        taken = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert most / 2 < answers.size <= most
    assert taken <= most
