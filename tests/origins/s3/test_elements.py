from __future__ import annotations

import pytest

from proxy.errors import OriginFault
from proxy.origins.s3.elements import read_elements

Told = list[tuple[int, str, str | None]]


def told_of(body: bytes) -> Told:
    told: Told = []
    read_elements(
        body,
        "the answer",
        lambda depth, name: told.append((depth, name, None)),
        lambda depth, name, text: told.append((depth, name, text)),
    )
    return told


def test_elements_are_told_with_how_many_are_around_them_and_their_text() -> None:
    assert told_of(b"<a><b>one &amp; two</b><c/></a>") == [
        (0, "a", None), (1, "b", None), (1, "b", "one & two"), (1, "c", None), (1, "c", ""),
        (0, "a", ""),
    ]  # fmt: skip


def test_namespaces_are_left_out() -> None:
    body = b'<a xmlns="urn:one" xmlns:x="urn:two"><x:b>1</x:b></a>'
    assert [name for _, name, _ in told_of(body)] == ["a", "b", "b", "a"]


def test_text_around_children_is_not_theirs() -> None:
    assert told_of(b"<a> before <b>in</b> after </a>")[-2:] == [(1, "b", "in"), (0, "a", " after ")]


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "the answer can't be read"),
        (b"<a>", "the answer can't be read"),
        (b"<a></b>", "the answer can't be read"),
        (b'{"a": 1}', "the answer can't be read"),
        (b'<?xml version="1.0" encoding="euc-jp"?><a/>', "the answer can't be read"),
        (b"<!DOCTYPE a><a/>", "has a document type"),
        (b'<!DOCTYPE a [<!ENTITY e "e">]><a>&e;</a>', "has a document type"),
        (b'<!DOCTYPE a SYSTEM "file:///etc/hostname"><a/>', "has a document type"),
    ],
)
def test_what_is_refused(body: bytes, why: str) -> None:
    with pytest.raises(OriginFault, match=why):
        told_of(body)
