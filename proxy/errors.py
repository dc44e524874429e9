"""The fault tree: whose fault it is, which status a client sees, and whether another try helps.

Every fault Headgate knows is a subclass here. Foreign exceptions (of the S3 client, of the
operating system) are translated where they arise, so that no other file names them. `said` is
for clients and never holds a host name, a bucket, a path or a credential; `detail` is for the log.
"""

from __future__ import annotations


class HeadgateError(Exception):
    """Base of all faults that Headgate raises itself."""


class ConfigurationError(HeadgateError):
    """The configuration can't be used. The text names file, key, and the value expected."""


class StartError(HeadgateError):
    """Headgate can't start although its configuration is valid: a port in use, no such bucket.

    The text is one line: what happened, where, and what to do.
    """


class ClientGone(HeadgateError):
    """The client left, or stopped reading for longer than allowed, before the body was complete."""


class Fault(HeadgateError):
    """A fault that ends one request and has a status (RFC 9110 §15).

    Attributes:
        status: the status code the client gets when nothing has been sent yet.
        said: one short sentence for the client.
        detail: what the log says beyond that; may name hosts and keys, never a secret.
        retry_after: seconds after which another try may help (RFC 9110 §10.2.3), or None.
        retryable: whether the same question, asked again soon, may get a good answer.
        asked_pause: for how many seconds the origin asked to be left alone, or None.
        cache_report: what a cache did before it was raised (`proxy.semantics.cache_status`), or
            None where none was asked.
    """

    retryable = False
    asked_pause: int | None = None
    cache_report: object = None
    status = 500
    said = "Something went wrong in the proxy."

    def __init__(
        self, detail: str = "", *, said: str | None = None, retry_after: int | None = None
    ) -> None:
        super().__init__(detail or said or self.said)
        self.detail = detail
        self.retry_after = retry_after
        if said is not None:
            self.said = said


# --- the client's -----------------------------------------------------------------------------


class RequestFault(Fault):
    """The request can't be served as it stands; the same request again will not help."""

    status = 400
    said = "The request is malformed."


class TargetTooLong(RequestFault):
    """The request target or the key in it is longer than a store can hold (RFC 9110 §15.5.15)."""

    status = 414
    said = "The address is too long."


class MethodNotAllowed(RequestFault):
    """The method is not one of those served (RFC 9110 §15.5.6)."""

    status = 405
    said = "This method is not allowed here."


class NotFound(RequestFault):
    """There is no such object. Raised only when the store said so, never for its own troubles.

    Attributes:
        lease: what knows whether there is still nothing, or None; see `proxy.origins.base`.
    """

    status = 404
    said = "There is nothing at this address."
    lease: object = None


class Forbidden(RequestFault):
    """The object may not be read by the public: the store refused a request without credentials."""

    status = 403
    said = "This may not be read."


class NotInCache(RequestFault):
    """The client wants only what is kept, and this is not (RFC 9111 §5.2.1.7)."""

    status = 504
    said = "This is not kept here, and nothing else was asked for."


# --- our own limits ---------------------------------------------------------------------------


class Overloaded(Fault):
    """More is under way than there is room for, and none came free in time (RFC 9110 §15.6.4)."""

    status = 503
    said = "Too much is under way here. Try again soon."

    def __init__(self, detail: str = "") -> None:
        super().__init__(detail, retry_after=2)


# --- the origin's -----------------------------------------------------------------------------


class OriginFault(Fault):
    """The origin failed or answered something that can't be passed on."""

    status = 502
    said = "The storage behind this address gave no usable answer."


class OriginRefused(OriginFault):
    """The origin refused Headgate's own credentials: the operator's trouble, not the client's."""

    said = "The storage behind this address refused the proxy."


class OriginUnreachable(OriginFault):
    """No connection to the origin could be made, or it broke before an answer came."""

    retryable = True
    said = "The storage behind this address can't be reached."


class OriginTimeout(OriginFault):
    """The origin did not answer, or stopped sending, for longer than allowed."""

    retryable = True
    status = 504
    said = "The storage behind this address took too long."


class OriginUnavailable(OriginFault):
    """The origin is overloaded, throttles, or is out of service for the moment."""

    retryable = True
    status = 503
    said = "The storage behind this address is busy. Try again soon."

    def __init__(
        self, detail: str = "", *, said: str | None = None, retry_after: int | None = None
    ) -> None:
        # Clients are told a time in any case; the origin's own word binds us too.
        super().__init__(detail, said=said, retry_after=2 if retry_after is None else retry_after)
        self.asked_pause = retry_after


class OriginBroke(OriginFault):
    """The origin's body ended early, was reset, or was longer than promised."""

    retryable = True


class ObjectChanged(OriginFault):
    """The object was replaced while it was read: what was sent and what is there don't belong
    together, so the response must be broken off."""

    said = "The file changed while it was read. Try again."


class ChecksumMismatch(OriginFault):
    """The bytes that came are not those the store promised: they must never count as complete."""

    said = "The file is damaged on its way or where it is stored, so it is not passed on."


class NotVerifiable(OriginFault):
    """There is no checksum the bytes could be checked against, and the mount requires one."""

    said = "This file can't be checked for damage, and only checked files are served here."
