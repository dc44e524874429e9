"""What the models say about key paths."""

from __future__ import annotations

from proxy.config.fields import RelativeToSource
from proxy.config.shape import field_at, is_secret, is_table, keys_at, marker, places, types_at

TREE = {
    "origins": {"m": {"type": "s3", "secret_access_key": "x"}, "d": {"type": "directory"}},
    "mounts": [{"path": "/", "unknown": 1}],
    "server": {"tls": {"key": "k"}},
}


def test_options_are_found_by_the_kind_of_their_table() -> None:
    secret = field_at(TREE, ("origins", "m", "secret_access_key"))
    assert secret is not None
    assert is_secret(secret)
    assert field_at(TREE, ("origins", "d", "secret_access_key")) is None
    key = field_at(TREE, ("server", "tls", "key"))
    assert key is not None
    assert marker(key, RelativeToSource)
    tls = field_at(TREE, ("server", "tls"))
    assert tls is not None
    assert is_table(tls.annotation)
    assert field_at(TREE, ("mounts", 0, "unknown")) is None


def test_known_keys() -> None:
    assert keys_at(TREE, ("server", "tls")) == [
        *("bind", "certificate", "key", "http3", "http3_port", "http3_max_age")
    ]
    assert keys_at(TREE, ("origins",)) == []
    assert keys_at(TREE, ("nothing", "at", "all")) == []
    assert types_at(TREE, ("origins", "m")) == ["s3", "directory"]


def test_places() -> None:
    assert [place.path for place in places(TREE)] == [
        ("origins",),
        ("origins", "m", "type"),
        ("origins", "m", "secret_access_key"),
        ("origins", "d", "type"),
        ("mounts",),
        ("mounts", 0, "path"),
        ("server",),
        ("server", "tls"),
        ("server", "tls", "key"),
    ]
