"""The kinds of value: what is taken, and as what."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from proxy.config import fields

TAKEN = [
    (fields.Bind, "127.0.0.1:0", "127.0.0.1:0"),
    (fields.Bind, "[::1]:65535", "[::1]:65535"),
    (fields.Bind, "unix:/run/h.sock", "unix:/run/h.sock"),
    (fields.BindOrOff, "", ""),
    (fields.Workers, "auto", "auto"),
    (fields.Endpoint, "https://store.example/", "https://store.example"),
    (fields.Endpoint, "http://[::1]:9000", "http://[::1]:9000"),
    (fields.Endpoint, "", None),
    (fields.Bucket, "arn:aws:s3:eu:1:accesspoint/x", "arn:aws:s3:eu:1:accesspoint/x"),
    (fields.MountPath, "/", "/"),
    (fields.MountPath, "/a b/ü", "/a b/ü/"),
    (fields.Glob, "/**/*.js", "/**/*.js"),
    (fields.ErrorStatus, "404", 404),
    (fields.HeaderValue, "a\tb é", "a\tb é"),
    (fields.FilePath, "a/b", Path("a/b")),
    (fields.OptionalFile, "", None),
]
REFUSED: list[tuple[Any, list[object]]] = [
    (fields.Bind, ["localhost", ":80", "::1:80", "a:x", "a:65536", "unix:", "unix:/a/", "a b:1"]),
    (fields.Workers, [0, -1, 1.0, True, "4", 1025, None]),
    (
        fields.Endpoint,
        [
            "store",
            "ftp://a",
            "http://",
            "http://a:0",
            "http://a:x",
            "http://u:p@a",
            "http://a/?b",
            "http://a#b",
            "http://a b",
            "http://ü",
            "http://[::1",
        ],
    ),
    (fields.Bucket, ["", "a/b", "-a", "s3://a", "a b", "ü"]),
    (fields.Prefix, ["/a", "a//b", "../a", "a/./b", "a\0"]),
    (fields.MountPath, ["", "a", "//", "/a//b", "/../a", "/a\n"]),
    (fields.Glob, ["", "*.js", "/***", "/\0"]),
    (fields.Key, ["", "/a", "a/", "a/../b"]),
    (fields.FileName, ["", "a/b", "..", "."]),
    (fields.OriginName, ["", "A", "a__b", "a-", "_a", "ü", "a.b"]),
    (fields.ErrorStatus, [399, 600, "x", "²", -404]),
    (fields.HeaderValue, ["", " a", "a\r", "a\nb", "a\0", "→", "\x7f", "a "]),
    (fields.Secret, ["a b", "a\n", "ü"]),
    (fields.FilePath, ["", "a\0b", "a\nb"]),
]


@pytest.mark.parametrize(("kind", "given", "taken"), TAKEN)
def test_taken(kind: Any, given: object, taken: object) -> None:  # noqa: ANN401  # a type form
    assert TypeAdapter[object](kind).validate_python(given) == taken


@pytest.mark.parametrize(("kind", "given"), [(kind, one) for kind, all_ in REFUSED for one in all_])
def test_refused(kind: Any, given: object) -> None:  # noqa: ANN401  # a type form
    with pytest.raises(ValidationError):
        TypeAdapter[object](kind).validate_python(given)
