"""The XML of a store's answers, told element by element. Pure.

It is read by expat with a handler that refuses any document type, so that no entity is ever
expanded. Namespaces are left out of names: stores differ in theirs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final
from xml.parsers import expat

from proxy.errors import OriginFault

_NAMESPACE_END: Final = "}"
# Of an element: how many there are around it (0 for the root), and its name.
Begin = Callable[[int, str], None]
# The same, and the text since the last element began or ended: all of it if it has no children.
End = Callable[[int, str, str], None]


def read_elements(body: bytes, what: str, begin: Begin, end: End) -> None:
    """Tells of all elements as they begin and end.

    Raises `OriginFault`, which names `what` is read, if it is no XML or has a document type.
    """
    depth, text = 0, list[str]()

    def refuse(*_: object) -> None:
        raise OriginFault(f"{what} has a document type")

    def started(name: str, _: dict[str, str]) -> None:
        nonlocal depth
        text.clear()
        begin(depth, name.rpartition(_NAMESPACE_END)[2])
        depth += 1

    def ended(name: str) -> None:
        nonlocal depth
        depth -= 1
        end(depth, name.rpartition(_NAMESPACE_END)[2], "".join(text))
        text.clear()

    parser = expat.ParserCreate(namespace_separator=_NAMESPACE_END)
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = refuse
    parser.StartElementHandler = started
    parser.EndElementHandler = ended
    parser.CharacterDataHandler = text.append
    try:
        parser.Parse(body, True)
    except (expat.ExpatError, ValueError) as error:  # the latter for some encodings
        raise OriginFault(f"{what} can't be read: {error}") from None
