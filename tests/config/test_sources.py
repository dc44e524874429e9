"""Layers over layers, as plain trees."""

from __future__ import annotations

import pytest

from proxy.config.sources import NOWHERE, Layers, Source, path_text

FILE = Source("file", "h.toml", 3, 1)
SET = Source("assignment", "--set", None, 2)


def test_sources_in_words() -> None:
    assert str(FILE) == "h.toml:3"
    assert str(SET) == "--set"
    assert path_text(("mounts", 0, "a b", "c")) == 'mounts.0."a b".c'


def test_what_is_replaced_is_forgotten() -> None:
    layers = Layers()
    layers.overlay({"a": {"b": [1, 2]}}, {("a",): FILE, ("a", "b"): FILE, ("a", "b", 1): FILE})
    layers.put(("a", "b"), "text", {("a", "b"): SET}, "text")
    assert layers.tree == {"a": {"b": "text"}}
    assert layers.sources == {("a",): FILE, ("a", "b"): SET}
    assert layers.texts == {("a", "b"): "text"}
    layers.put(("a",), 1, {("a",): SET})
    assert (layers.sources, layers.texts) == ({("a",): SET}, {})


def test_the_source_of_what_is_missing_is_above_it() -> None:
    layers = Layers()
    assert layers.source(("a", "b")) == NOWHERE
    layers.overlay({"a": {"b": {}}}, {("a",): FILE})
    assert layers.source(("a", "b", "c")) == FILE


def test_a_layer_keeps_its_own_containers() -> None:
    given: dict[str, object] = {"a": [{"b": 1}]}
    layers = Layers()
    layers.overlay(given, {})
    layers.put(("a", "0", "b"), 2, {})
    assert (given, layers.tree) == ({"a": [{"b": 1}]}, {"a": [{"b": 2}]})


@pytest.mark.parametrize("key", ["2", "x", "-1"])
def test_elements_that_are_not_there(key: str) -> None:
    layers = Layers()
    layers.overlay({"a": [1]}, {})
    with pytest.raises(IndexError):
        layers.put(("a", key), 2, {})
