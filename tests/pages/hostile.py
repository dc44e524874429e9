"""Text that nobody means well with."""

from __future__ import annotations

from hypothesis import strategies as st

PIECES = [
    "<b>",
    "</bdi>",
    "</a>",
    "</title>",
    "<script>",
    "-->",
    "<!--",
    "&lt;",
    "&",
    "\"'",
    " onload=x ",
    "{",
    "\n",
    "\0",
    "\u202e",
    "\ud800",
    "\udcff",
    "é",
    "a",
    "%",
    "/",
]

ANY_TEXT = st.one_of(
    st.lists(st.sampled_from(PIECES), max_size=6).map("".join),
    st.text(st.characters(exclude_categories=())),
)
