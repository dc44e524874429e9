"""What the arguments of `headgate verify` mean."""

from __future__ import annotations

import pytest

from proxy.integrity.targets import NoTarget, Target, target_of
from proxy.semantics.routing import Mount

MOUNTS = (Mount("/", "site"), Mount("/media/", "media"))
TWO = ("site", "media")


@pytest.mark.parametrize(
    ("text", "chosen", "target"),
    [
        ("/a.txt", None, Target("site", "a.txt")),
        ("/", None, Target("site", "")),
        ("/media/a b.mp4", None, Target("media", "a b.mp4")),
        ("/media/a%20b.mp4?download", None, Target("media", "a b.mp4")),
        ("/media/ü%C3%BC/", None, Target("media", "üü/")),
        ("/media", None, Target("media", "")),
        ("https://cdn.example/media/x/#t=1", None, Target("media", "x/")),
        ("http://127.0.0.1:8080", None, Target("site", "")),
        ("http://127.0.0.1:8080/a", "media", Target("site", "a")),
        ("a b%20.txt", "media", Target("media", "a b%20.txt")),
        ("", "site", Target("site", "")),
        ("dir/", "site", Target("site", "dir/")),
        ("/a", "site", Target("site", "/a")),  # a key may begin with a slash
    ],
)
def test_targets(text: str, chosen: str | None, target: Target) -> None:
    assert target_of(text, MOUNTS, TWO, chosen) == target


def test_the_only_origin_needs_no_name() -> None:
    assert target_of("a", MOUNTS, ("media",), None) == Target("media", "a")


@pytest.mark.parametrize(
    ("text", "chosen", "said"),
    [
        ("a", None, "say by --origin which of media, site has 'a'"),
        ("a", "meda", "no origin 'meda'; known here: media, site"),
        ("/a/../b", None, "no address: The address holds a dot segment"),
        ("/a%zz", None, "incomplete percent-encoding"),
        ("http://", None, "no address"),
        ("/" + "x" * 1025, None, "no address"),
    ],
)
def test_no_targets(text: str, chosen: str | None, said: str) -> None:
    with pytest.raises(NoTarget, match=said):
        target_of(text, MOUNTS, TWO, chosen)


def test_nothing_is_mounted() -> None:
    with pytest.raises(NoTarget, match="nothing is mounted at '/a'"):
        target_of("/a", MOUNTS[1:], TWO, None)
