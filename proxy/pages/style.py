"""The look of Headgate's own pages, and the frame every one of them stands in.

A style sheet for each kind of page, inline, allowed by its hash: a page works without any other
request, and nothing that might slip into one can load, run, post or be framed. Icons are masks in
the style sheet, so that they take the text's colour, light or dark.
"""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha256
from urllib.parse import quote


def _icon(paths: str) -> str:
    svg = (
        "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 20 20' fill='none' stroke='#000' "
        f"stroke-width='1.5' stroke-linecap='round' stroke-linejoin='round'>{paths}</svg>"
    )
    return f'url("data:image/svg+xml,{quote(svg, safe=" :/=")}")'


_FOLDER = _icon(
    "<path fill='#000' fill-opacity='.18' d='M2.5 5.5a1.5 1.5 0 0 1 1.5-1.5h3.4l2 2H16a1.5 1.5 0 "
    "0 1 1.5 1.5v7A1.5 1.5 0 0 1 16 16H4a1.5 1.5 0 0 1-1.5-1.5z'/>"
)
_FILE = _icon(
    "<path d='M11.5 2.75h-6a1 1 0 0 0-1 1v12.5a1 1 0 0 0 1 1h9a1 1 0 0 0 1-1v-9.5zv4h4'/>"
)
_UP = _icon("<path d='M10 16V4.5M5 9.5l5-5 5 5'/>")
_NEXT = _icon("<path d='M4 10h11.5M10.5 5l5 5-5 5'/>")

_BASE = """
:root{color-scheme:light dark;--page:#f5f6f8;--card:#fff;--text:#1b1f24;--soft:#5b6470;
--line:#e3e6ea;--over:#f0f4fa;--link:#0a58ca;--folder:#b7791f;--mark:#b42318}
@media(prefers-color-scheme:dark){:root{--page:#0f1216;--card:#171b21;--text:#e6e9ed;
--soft:#98a2ae;--line:#272d35;--over:#1e242c;--link:#82b4ff;--folder:#e0b354;--mark:#ff9a8d}}
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--text);-webkit-text-size-adjust:100%;
font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif}
main{max-width:62rem;margin:0 auto;padding:2.5rem 1.5rem 4rem}
bdi{white-space:pre-wrap;overflow-wrap:anywhere}
i{font:.85em/1 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;color:var(--mark)}
a{color:var(--link);text-decoration:none}
a:hover{text-decoration:underline}
a:focus-visible{outline:2px solid var(--link);outline-offset:-2px;border-radius:6px}
h1{margin:0;font-size:1.75rem;line-height:1.25;font-weight:650;letter-spacing:-.015em}
.card{background:var(--card);border:1px solid var(--line);border-radius:12px;overflow:hidden;
box-shadow:0 1px 2px rgb(0 0 0/.05)}
@media(max-width:40rem){
main{padding:1.25rem .75rem 3rem}
h1{font-size:1.375rem}
}
"""

PROBLEM_STYLE = (
    _BASE
    + """.fault{max-width:36rem;margin:12vh auto 0;padding:2.25rem 2.5rem}
.fault .code{margin:0 0 .25rem;color:var(--soft);font-weight:600;
font-variant-numeric:tabular-nums}
.fault p{margin:.75rem 0 0}
.fault .id{margin-top:1.75rem;padding-top:1rem;border-top:1px solid var(--line);
color:var(--soft);font-size:.875rem}
code{font:.95em ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;overflow-wrap:anywhere}
@media(max-width:40rem){
.fault{margin-top:4vh;padding:1.5rem}
}
"""
)
"""The style sheet of problems."""

LISTING_STYLE = (
    _BASE
    + """nav{color:var(--soft);font-size:.9375rem}
nav ol{display:flex;flex-wrap:wrap;list-style:none;margin:0 0 .25rem;padding:0}
nav li::after{content:"/";margin:0 .45rem;opacity:.6}
.sum{margin:.35rem 0 1.25rem;color:var(--soft);font-size:.9375rem}
table{width:100%;border-collapse:collapse}
th{padding:.6rem 1rem;text-align:left;font-size:.8125rem;font-weight:600;color:var(--soft)}
td{border-top:1px solid var(--line);padding:0 1rem;height:2.625rem}
tbody:first-child tr:first-child td{border-top:0}
tbody tr:hover{background:var(--over)}
.n{width:100%;padding-left:0}
.s,.m{white-space:nowrap;color:var(--soft);font-size:.9375rem;font-variant-numeric:tabular-nums}
.s{text-align:right}
th.n{padding-left:1rem}
th.n,th.s,th.m{font-size:.8125rem}
td.s:empty::before,td.m:empty::before{content:"\\2013"}
.e{display:flex;gap:.7rem;padding:.55rem 0 .55rem 1rem;color:var(--text)}
a.e:hover{color:var(--link)}
.e span{min-width:0}
.e::before{content:"";flex:none;width:1.25rem;height:1.5rem;background:var(--soft);
-webkit-mask:FILE center/1.25rem no-repeat;mask:FILE center/1.25rem no-repeat}
.d{font-weight:550}
.d::before{background:var(--folder);-webkit-mask-image:FOLDER;mask-image:FOLDER}
.u::before{-webkit-mask-image:UP;mask-image:UP}
.u{color:var(--soft)}
span.e{opacity:.75}
table+.none{border-top:1px solid var(--line)}
.none{padding:3.5rem 1rem;text-align:center;color:var(--soft)}
.more{margin:1.25rem 0 0;text-align:right}
.more a{display:inline-flex;align-items:center;gap:.5rem;padding:.55rem 1rem;font-weight:550;
background:var(--card);border:1px solid var(--line);border-radius:10px}
.more a:hover{background:var(--over);text-decoration:none}
.more a::after{content:"";width:1.25rem;height:1.25rem;background:currentColor;
-webkit-mask:NEXT center/1.25rem no-repeat;mask:NEXT center/1.25rem no-repeat}
@media(max-width:40rem){
h1,nav,.sum{padding:0 .25rem}
thead{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}
table,tbody{display:block}
tr{display:flex;flex-wrap:wrap;padding-bottom:.6rem;border-top:1px solid var(--line)}
tbody:first-of-type tr:first-child{border-top:0}
td{border:0;padding:0;height:auto}
td.n{flex:0 0 100%}
td.s{padding-left:2.95rem}
td.s:not(:empty)+td.m:not(:empty)::before{content:"\\00b7";margin:0 .5rem}
td.s:empty,td.m:empty{display:none}
td.s:empty+td.m{padding-left:2.95rem}
td.s,td.m{font-size:.8125rem;line-height:1.2}
.e{padding:.65rem 1rem .25rem}
tr:has(td.m:empty) .e,tr:has(td[colspan]) .e{padding-bottom:.1rem}
.more a{display:flex;justify-content:center}
}
@media print{body{background:none}.card{border:0;box-shadow:none}.more,.u{display:none}}
""".replace("FOLDER", _FOLDER)
    .replace("FILE", _FILE)
    .replace("NEXT", _NEXT)
    .replace("UP", _UP)
)
"""The style sheet of listings."""


def _hash(style: str) -> str:
    return f"'sha256-{b64encode(sha256(style.encode()).digest()).decode()}'"


CONTENT_SECURITY_POLICY = (
    f"default-src 'none'; style-src {_hash(PROBLEM_STYLE)} {_hash(LISTING_STYLE)}; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""The Content-Security-Policy every page of this room is sent with."""


def document(title: str, style: str, body: str) -> bytes:
    """A whole page, in one of the style sheets above.

    `title` and `body` are markup: they have been escaped by whoever made them.
    """
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n<link rel="icon" href="data:,">\n'
        f"<title>{title}</title>\n<style>{style}</style>\n</head>\n"
        f"<body>\n<main>\n{body}\n</main>\n</body>\n</html>\n"
    ).encode()
