"""A folder's listing, as a page for people and as JSON for programs.

The links are relative to the folder's own address, which must end in a slash. Whoever sends a
listing adds `Vary: Accept`, and to HTML `proxy.pages.style.CONTENT_SECURITY_POLICY`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from proxy.origins.base import Entry, Page
from proxy.pages.style import LISTING_STYLE, document
from proxy.pages.text import attribute, link_to, plain, shown, size_for_people, utc, well_formed
from proxy.semantics.accept import preferred_media_type

HTML = "text/html; charset=utf-8"
JSON = "application/json"
# Some clients ask for JSON with a charset, which it does not have (RFC 8259 §11).
_OFFERS = (HTML, JSON, "application/json; charset=utf-8")


@dataclass(frozen=True, slots=True)
class Listing:
    """One page of a folder.

    Attributes:
        path: the folder's path in the address, decoded, with a slash at both ends.
        page: what lies in it.
        next_link: the reference of the next page, percent-encoded (`?after=…`), or None.
        parent_link: the reference of the folder above (`../`), or None at the top.
        top: the path of the highest folder that can be listed; what is above is not linked.
    """

    path: str
    page: Page
    next_link: str | None = None
    parent_link: str | None = None
    top: str = "/"


def render_listing(accept: str | None, listing: Listing) -> tuple[str, bytes]:
    """The Content-Type and body that suit an Accept field: JSON only for who prefers it."""
    chosen = preferred_media_type(accept, _OFFERS)
    if chosen is None or chosen == HTML:
        return HTML, listing_html(listing)
    return JSON, listing_json(listing)


def listing_json(listing: Listing) -> bytes:
    """The listing as `{"path", "entries", "next"}`, in the order of `listing_html`.

    An entry's `href` is null when its name has no address, its `size` when it is a directory.
    """
    value = {
        "path": well_formed(listing.path),
        "entries": [_json_entry(entry) for entry in _in_order(listing.page)],
        "next": None if listing.next_link is None else well_formed(listing.next_link),
    }
    return json.dumps(value, separators=(",", ":")).encode() + b"\n"


def listing_html(listing: Listing) -> bytes:
    """The listing as one page that needs nothing else."""
    entries = _in_order(listing.page)
    ancestors, name = _crumbs(listing)
    body = [ancestors, f"<h1>{name}</h1>", f'<p class="sum">{_summary(entries, listing)}</p>']
    body.append(_table(entries, listing))
    if listing.next_link is not None:
        link = attribute(listing.next_link)
        body.append(f'<p class="more"><a rel="next" href="{link}">Next page</a></p>')
    return document(f"Index of {plain(listing.path)}", LISTING_STYLE, "\n".join(filter(None, body)))


def _in_order(page: Page) -> list[Entry]:
    """Folders first; besides that the store's own order."""
    return sorted(page.entries, key=lambda entry: not _is_folder(entry))


def _is_folder(entry: Entry) -> bool:
    return entry.name.endswith("/")


def _json_entry(entry: Entry) -> dict[str, str | int | None]:
    return {
        "name": well_formed(entry.name.removesuffix("/")),
        "type": "directory" if _is_folder(entry) else "file",
        "size": entry.size,
        "modified": utc(entry.last_modified),
        "href": link_to(entry.name),
    }


def _crumbs(listing: Listing) -> tuple[str, str]:
    """The folders above, each with its link, and this one's name."""
    names = ["Home", *listing.path[1:-1].split("/")] if len(listing.path) > 1 else ["Home"]
    labels = [_label(name) for name in names]
    linked_from = listing.top.count("/") - 1
    items = []
    for depth, label in enumerate(labels[:-1]):
        up = "../" * (len(labels) - 1 - depth)
        if depth >= linked_from:
            items.append(f'<li><a href="{up}">{label}</a></li>')
        elif depth:
            items.append(f"<li>{label}</li>")
    trail = f'<nav aria-label="Folders above"><ol>{"".join(items)}</ol></nav>' if items else ""
    return trail, labels[-1]


def _summary(entries: list[Entry], listing: Listing) -> str:
    folders = sum(map(_is_folder, entries))
    counts = [_count(folders, "folder"), _count(len(entries) - folders, "file")]
    said = ", ".join(filter(None, counts))
    return f"{said} on this page" if said and listing.next_link is not None else said


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}" if number else ""


def _table(entries: list[Entry], listing: Listing) -> str:
    rows = [_row(entry) for entry in entries]
    if listing.parent_link is not None:
        link = attribute(listing.parent_link)
        up = f'<a class="e u" href="{link}"><span>Parent folder</span></a>'
        rows.insert(0, f'<tr><td class="n" colspan="3">{up}</td></tr>')
    head = '<thead><tr><th class="n">Name</th><th class="s">Size</th>'
    head += '<th class="m">Modified (UTC)</th></tr></thead>'
    said = "This folder is empty." if listing.next_link is None else "Nothing on this page."
    none = "" if entries else f'<div class="none">{said}</div>'
    body = "\n".join(rows)
    table = f"<table>{head if entries else ''}<tbody>\n{body}\n</tbody></table>"
    return f'<div class="card">{table if rows else ""}{none}</div>'


def _row(entry: Entry) -> str:
    folder = _is_folder(entry)
    name = entry.name[:-1] if folder else entry.name
    label = f"<span>{_label(name)}{'/' if folder else ''}</span>"
    kind, link = "e d" if folder else "e", link_to(entry.name)
    if link is None:
        named = f'<span class="{kind}" title="This name has no address.">{label}</span>'
    else:
        named = f'<a class="{kind}" href="{link}">{label}</a>'
    size = "" if entry.size is None else _size(entry.size)
    return (
        f'<tr><td class="n">{named}</td><td class="s">{size}</td>'
        f'<td class="m">{_modified(entry.last_modified)}</td></tr>'
    )


def _label(name: str) -> str:
    return shown(name) if name else "<i>(no name)</i>"


def _size(size: int) -> str:
    return f'<span title="{size:,} bytes">{size_for_people(size)}</span>'


def _modified(seconds: int | None) -> str:
    moment = utc(seconds)
    if moment is None:
        return ""
    return f'<time datetime="{moment}" title="{moment}">{moment[:10]} {moment[11:16]}</time>'
