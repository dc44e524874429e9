"""On which line of a TOML text each key stands, which `tomllib` does not tell.

Pure. It reads text that `tomllib` has already accepted and so checks nothing: it only walks over
values to find where the next key begins.
"""

from __future__ import annotations

import re
import tomllib
from typing import Final

from proxy.config.sources import KeyPath

_BARE_KEY: Final = re.compile(r"[A-Za-z0-9_-]+")
_BLANK: Final = re.compile(r"[ \t\r\n]*(?:#[^\n]*[\r\n]*[ \t\r\n]*)*")
_SCALAR: Final = re.compile(r"[^,\]}#\r\n]+")
# Longest opening first. A basic string may hold escaped quotes; up to two quotes more than
# three may end a multi-line string.
_STRING: Final = re.compile(
    r'"""(?:[^\\]|\\.)*?"{3,5}'
    r"|'''.*?'{3,5}"
    r'|"(?:[^"\\]|\\.)*"'
    r"|'[^']*'",
    re.DOTALL,
)


def locate(text: str) -> dict[KeyPath, int]:
    """The line (from 1) of every key path in `text`, which must be valid TOML.

    A table has the line where it is first named, an array element the line where it begins.
    """
    return _Walk(text).walk()


class _Walk:
    """One pass over a text: a position, and the lines found so far."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._counted_to = 0
        self._line = 1
        self._lines: dict[KeyPath, int] = {}
        self._lengths: dict[KeyPath, int] = {}  # of arrays of tables

    def walk(self) -> dict[KeyPath, int]:
        table: KeyPath = ()
        self._skip_blank()
        while self._at < len(self._text):
            if self._text.startswith("[[", self._at):
                table = self._header(2)
            elif self._text[self._at] == "[":
                table = self._header(1)
            else:
                self._pair(table)
            self._skip_blank()
        return self._lines

    def _header(self, brackets: int) -> KeyPath:
        """Reads "[a.b]" or "[[a.b]]" and gives the path of the table that follows."""
        line = self._line_here()
        self._at += brackets
        keys = self._keys()
        self._at += brackets
        path: KeyPath = ()
        for key in keys[:-1]:
            path = self._into(self._note((*path, key), line))
        path = self._note((*path, keys[-1]), line)
        if brackets == 1:
            return self._into(path)
        self._lengths[path] = self._lengths.get(path, 0) + 1
        return self._note(self._into(path), line)

    def _into(self, path: KeyPath) -> KeyPath:
        """`path`, or its last element where it is an array of tables."""
        return (*path, self._lengths[path] - 1) if path in self._lengths else path

    def _pair(self, table: KeyPath) -> None:
        """Reads "key = value"."""
        line = self._line_here()
        path = table
        for key in self._keys():
            path = self._note((*path, key), line)
        self._at += 1  # "="
        self._skip_blank()
        self._value(path)

    def _value(self, path: KeyPath) -> None:
        opening = self._text[self._at]
        if opening == "[":
            self._array(path)
        elif opening == "{":
            self._inline_table(path)
        elif match := _STRING.match(self._text, self._at) or _SCALAR.match(self._text, self._at):
            self._at = match.end()

    def _array(self, path: KeyPath) -> None:
        number = 0
        while not self._ends("]"):
            self._value(self._note((*path, number), self._line_here()))
            number += 1

    def _inline_table(self, path: KeyPath) -> None:
        while not self._ends("}"):
            self._pair(path)

    def _ends(self, closing: str) -> bool:
        """Steps over the opening bracket or a comma, to the next item or past `closing`."""
        if self._text[self._at] != closing:
            self._skip_blank()
            self._at += self._text[self._at] in "[{,"
            self._skip_blank()
        if self._text[self._at] != closing:
            return False
        self._at += 1
        return True

    def _keys(self) -> list[str]:
        """Reads a dotted key and stops at what follows it."""
        keys = []
        while True:
            self._skip_blank()
            keys.append(self._key())
            self._skip_blank()
            if self._text[self._at] != ".":
                return keys
            self._at += 1

    def _key(self) -> str:
        match = _BARE_KEY.match(self._text, self._at) or _STRING.match(self._text, self._at)
        if match is None:
            raise ValueError("not a TOML text")
        self._at = match.end()
        if match[0][0] in "\"'":
            return str(tomllib.loads(f"key = {match[0]}")["key"])
        return match[0]

    def _note(self, path: KeyPath, line: int) -> KeyPath:
        self._lines.setdefault(path, line)
        return path

    def _skip_blank(self) -> None:
        match = _BLANK.match(self._text, self._at)
        self._at = match.end() if match else self._at

    def _line_here(self) -> int:
        self._line += self._text.count("\n", self._counted_to, self._at)
        self._counted_to = self._at
        return self._line
