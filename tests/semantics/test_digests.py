"""Digest fields: the examples of RFC 9530, and tables of wishes."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.semantics.digests import (
    Known,
    field_value,
    known_to_store,
    read_wishes,
    repr_digest,
    wanted_of,
)
from proxy.semantics.etags import EntityTag
from proxy.semantics.plan import Policy, make_plan
from proxy.semantics.representation import Checksum, Representation

# RFC 9530 §B: the object, and its digests as they stand there.
HELLO = b'{"hello": "world"}\n'
SHA_256 = b"sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:"
SHA_512 = (
    b"sha-512=:YMAam51Jz/jOATT6/zvHrLVgOYTGFy1d6GJiOHTohq4yP+pgk4vf2aCs"
    b"yRZOtw8MjkM7iw7yZ/WkppmM44T3qg==:"
)
BOTH: Known = {
    "sha-512": hashlib.sha512(HELLO).digest(),
    "sha-256": hashlib.sha256(HELLO).digest(),
}
ONLY_256: Known = {"sha-256": BOTH["sha-256"]}


def test_values_are_written_as_in_the_rfc() -> None:
    assert field_value(ONLY_256) == SHA_256
    assert field_value({"sha-512": BOTH["sha-512"]}) == SHA_512
    assert field_value(BOTH) == SHA_256 + b", " + SHA_512
    empty = field_value({"sha-256": hashlib.sha256().digest()})
    assert empty == b"sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:"  # §B.2


@pytest.mark.parametrize(
    ("field", "wishes", "wanted"),
    [
        (None, {}, ()),
        ("", {}, ()),
        ("sha-256=1", {"sha-256": 1}, ("sha-256",)),
        ("sha-512=3, sha-256=10, unixsum=0", {"sha-256": 10, "sha-512": 3}, ("sha-256", "sha-512")),
        ("sha-256=3, sha-512=10", {"sha-256": 3, "sha-512": 10}, ("sha-512", "sha-256")),
        ("sha-512=5, sha-256=5", {"sha-256": 5, "sha-512": 5}, ("sha-256", "sha-512")),
        ("sha-256=3, sha=10", {"sha-256": 3}, ("sha-256",)),  # §C.1
        ("sha=10", {}, ()),  # §C.2
        ("sha-256=0, sha-512=1", {"sha-256": 0, "sha-512": 1}, ("sha-512",)),
        ("sha-256=11, sha-512=-1", {}, ()),
        ("sha-256=1.0, sha-512=10", {"sha-512": 10}, ("sha-512",)),
        ("sha-256, sha-512=?1, SHA-256=1", {}, ()),
        ("sha-256=1, sha-256=0", {"sha-256": 0}, ()),
        ("sha-256=7;q=1", {"sha-256": 7}, ("sha-256",)),
        ("sha-256=1,", {}, ()),
        ("sha-256=1 sha-512=1", {}, ()),
        ("sha-256=1" + " " * 4096, {}, ()),
    ],
)
def test_wishes(field: str | None, wishes: dict[str, int], wanted: tuple[str, ...]) -> None:
    assert read_wishes(field) == wishes
    assert wanted_of(read_wishes(field)) == wanted


@pytest.mark.parametrize(
    ("field", "known", "sent"),
    [
        (None, {}, None),
        ("sha-256=10", {}, None),
        (None, ONLY_256, SHA_256),
        (None, BOTH, SHA_256 + b", " + SHA_512),
        ("sha-256=10", BOTH, SHA_256),
        ("sha-256=3, sha-512=10", BOTH, SHA_512),
        ("sha-256=3, sha-512=10", ONLY_256, SHA_256),
        ("sha-256=0", ONLY_256, None),
        ("sha-256=0", BOTH, SHA_512),
        ("sha-256=0, sha-512=0", BOTH, None),
        ("sha-512=1", ONLY_256, SHA_256),  # §C.2: another one than was asked for
        ("sha=10", ONLY_256, SHA_256),
        ("sha-256=0,", ONLY_256, SHA_256),  # malformed: as if absent
    ],
)
def test_what_is_sent(field: str | None, known: Known, sent: bytes | None) -> None:
    assert repr_digest(read_wishes(field), known) == sent


@given(
    st.dictionaries(st.sampled_from(["sha-256", "sha-512", "md5"]), st.integers(-2, 12)),
    st.sampled_from([ONLY_256, BOTH]),
)
def test_nothing_unacceptable_is_sent_and_the_best_wanted_is(
    weights: dict[str, int], known: Known
) -> None:
    field = ", ".join(f"{key}={weight}" for key, weight in weights.items())
    sent = repr_digest(read_wishes(field), known) or b""
    usable = {key: weight for key, weight in weights.items() if key in known and 0 <= weight <= 10}
    assert all(key.encode() not in sent for key, weight in usable.items() if weight == 0)
    best = max(usable.values(), default=0)
    if best:
        assert [key for key in known if key.encode() in sent] in [
            [key] for key, weight in usable.items() if weight == best
        ]


def representation_with(*checksums: Checksum) -> Representation:
    return Representation(len(HELLO), EntityTag("a"), 784111777, "text/plain", checksums=checksums)


@pytest.mark.parametrize(
    ("checksums", "known"),
    [
        ([], {}),
        ([Checksum("crc64nvme", bytes(8)), Checksum("md5", bytes(16))], {}),
        ([Checksum("md5", bytes(16)), Checksum("sha256", BOTH["sha-256"])], ONLY_256),
        ([Checksum("sha256", BOTH["sha-256"], composite=True, parts=2)], {}),
        ([Checksum("sha1", bytes(20))], {}),
    ],
)
def test_what_the_store_knows(checksums: list[Checksum], known: Known) -> None:
    assert known_to_store(representation_with(*checksums)) == known


@pytest.mark.parametrize(
    ("method", "request_fields", "status", "sent"),
    [
        ("GET", {}, 200, True),
        ("HEAD", {}, 200, True),
        ("HEAD", {"range": "bytes=1-2"}, 200, True),
        ("GET", {"range": "bytes=10-18"}, 206, True),  # §B.3
        ("GET", {"range": "bytes=0-1,5-6"}, 206, True),
        ("GET", {"if-none-match": '"a"'}, 304, True),
        ("HEAD", {"if-none-match": '"a"'}, 304, True),
        ("GET", {"if-match": '"b"'}, 412, False),  # the body is of the error, §B.9
        ("GET", {"range": "bytes=99-"}, 416, False),
    ],
)
def test_it_is_the_same_on_every_answer_about_the_object(
    method: str, request_fields: dict[str, str], status: int, sent: bool
) -> None:
    policy = Policy(repr_digest=SHA_256)
    plan = make_plan(method, request_fields, representation_with(), policy)
    assert plan.status == status
    found = [value for name, value in plan.fields if name == b"repr-digest"]
    assert found == ([SHA_256] if sent else [])
    without = make_plan(method, request_fields, representation_with(), Policy())
    assert not any(name == b"repr-digest" for name, _ in without.fields)
