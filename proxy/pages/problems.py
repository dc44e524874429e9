"""The bodies of errors: problem details (RFC 9457) for programs, a short page for people.

They say what the fault says to clients and nothing else. Whoever sends one adds `Vary: Accept`,
and to HTML `proxy.pages.style.CONTENT_SECURITY_POLICY`.
"""

from __future__ import annotations

import json

from proxy.pages.style import PROBLEM_STYLE, document
from proxy.pages.text import plain, shown, well_formed
from proxy.semantics.accept import preferred_media_type

PROBLEM = "application/problem+json"
HTML = "text/html; charset=utf-8"

# RFC 9110 §15.5 and §15.6, and RFCs 6585, 7725, 8470. Our own table: the standard library's
# words for 413, 416 and 422 differ from one version of Python to the next.
_REASONS = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    406: "Not Acceptable",
    408: "Request Timeout",
    409: "Conflict",
    410: "Gone",
    411: "Length Required",
    412: "Precondition Failed",
    413: "Content Too Large",
    414: "URI Too Long",
    415: "Unsupported Media Type",
    416: "Range Not Satisfiable",
    417: "Expectation Failed",
    421: "Misdirected Request",
    422: "Unprocessable Content",
    425: "Too Early",
    426: "Upgrade Required",
    428: "Precondition Required",
    429: "Too Many Requests",
    431: "Request Header Fields Too Large",
    451: "Unavailable For Legal Reasons",
    500: "Internal Server Error",
    501: "Not Implemented",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Gateway Timeout",
    505: "HTTP Version Not Supported",
    507: "Insufficient Storage",
    508: "Loop Detected",
    511: "Network Authentication Required",
}


def reason(status: int) -> str:
    """The reason phrase of an error status; for an unknown one that of its class (§15)."""
    return _REASONS.get(status) or ("Bad Request" if status < 500 else "Internal Server Error")


def render_problem(
    accept: str | None, status: int, detail: str, request_id: str, *, title: str | None = None
) -> tuple[str, bytes]:
    """The Content-Type and body that suit an Accept field: a page for who asks for one.

    The title is the reason phrase unless another is given.
    """
    heading = title or reason(status)
    if preferred_media_type(accept, (PROBLEM, HTML)) == HTML:
        return HTML, problem_html(status, heading, detail, request_id)
    return PROBLEM, problem_json(status, heading, detail, request_id)


def problem_json(status: int, title: str, detail: str, request_id: str) -> bytes:
    """Problem details of type about:blank, with the request's id as a member of our own."""
    value = {
        "type": "about:blank",
        "title": well_formed(title),
        "status": status,
        "detail": well_formed(detail),
        "request_id": well_formed(request_id),
    }
    return json.dumps(value, separators=(",", ":")).encode() + b"\n"


def problem_html(status: int, title: str, detail: str, request_id: str) -> bytes:
    """The same as a page."""
    body = (
        f'<div class="card fault"><p class="code">{status}</p>\n<h1>{shown(title)}</h1>\n'
        f'<p>{shown(detail)}</p>\n<p class="id">Request <code>{shown(request_id)}</code></p></div>'
    )
    return document(f"{status} {plain(title)}", PROBLEM_STYLE, body)
