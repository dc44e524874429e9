"""Reads a page back as a browser would: its elements, its links and its text."""

from __future__ import annotations

from html.parser import HTMLParser


class Reader(HTMLParser):
    """Collects what a page holds.

    Attributes:
        tags: the names of all elements in order, without those that only mark characters.
        links: of each `a`, in order: its class, its href and its text.
        names: the text of each `bdi`, with what is written out put in braces.
        text: all text outside of `style`.
    """

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[tuple[str, str, str]] = []
        self.names: list[str] = []
        self.attributes: list[str] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(page.decode())
        self.close()
        assert self._open == [], self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        fields = {name: value or "" for name, value in attrs}
        self.attributes += fields
        if tag == "i":
            self._gather("{")
        else:
            self.tags.append(tag)
        if tag == "a":
            self.links.append((fields.get("class", ""), fields["href"], ""))
        if tag == "bdi":
            self.names.append("")
        if tag not in {"meta", "link"}:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag
        if tag == "i":
            self._gather("}")

    def handle_data(self, data: str) -> None:
        if "style" not in self._open:
            self._gather(data)

    def handle_comment(self, data: str) -> None:
        raise AssertionError(data)

    def _gather(self, data: str) -> None:
        self.text += data
        if "a" in self._open:
            kind, href, text = self.links[-1]
            self.links[-1] = (kind, href, text + data)
        if "bdi" in self._open:
            self.names[-1] += data
