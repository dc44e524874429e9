"""Rules about several options, told also where the models already refuse the rest."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from proxy.config import Settings
from proxy.config.together import RULE, with_default_mount


def rules_broken(tree: object) -> list[tuple[str | int, ...]]:
    """Where the faults of this module are."""
    with pytest.raises(ValidationError) as caught:
        Settings.model_validate(tree)
    return [error["loc"] for error in caught.value.errors() if error["type"] == RULE]


def test_only_the_only_origin_is_mounted() -> None:
    assert with_default_mount({"origins": {"a": 1}}) == {
        "origins": {"a": 1},
        "mounts": [{"path": "/", "origin": "a"}],
    }
    for tree in ({"origins": {"a": 1, "b": 2}}, {"origins": {"a": 1}, "mounts": [1]}, {}, 3):
        assert with_default_mount(tree) == tree


@pytest.mark.parametrize(
    ("credentials", "at"),
    [
        ({"access_key_id": "a"}, ["access_key_id"]),
        ({"secret_access_key_file": "a"}, ["secret_access_key_file"]),
        ({"session_token": "a"}, ["session_token"]),
        ({"access_key_id": "", "session_token": "a"}, ["session_token"]),
        ({"unsigned": True, "profile": "a"}, ["unsigned"]),
        ({"unsigned": True, "access_key_id": "a", "secret_access_key": "b"}, ["unsigned"]),
    ],
)
def test_credentials(credentials: dict[str, object], at: list[str]) -> None:
    tree = {"origins": {"m": {"type": "s3", **credentials}}}  # and no bucket
    assert rules_broken(tree) == [("origins", "m", key) for key in at]


def test_port_zero_may_be_bound_twice() -> None:
    tree = {
        "origins": {"d": {"type": "directory", "root": "/"}},
        "server": {"bind": ["127.0.0.1:0", "127.0.0.1:0"]},
        "admin": {"bind": "127.0.0.1:0"},
    }
    assert Settings.model_validate(tree).admin.bind == "127.0.0.1:0"


def test_what_is_no_table_is_left_to_the_models() -> None:
    trees: list[object] = [
        {"origins": 1, "mounts": 2, "rules": [3], "server": 4, "admin": 5},
        [],
        None,
    ]
    for tree in trees:
        assert ("mounts", 0) not in rules_broken(tree)
