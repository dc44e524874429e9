"""What the operator's door is told of the configuration, as plain values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from proxy.semantics.routing import Mount


@dataclass(frozen=True, slots=True)
class AdminOptions:
    """Who may ask what.

    Attributes:
        token: what a request must bring as `Authorization: Bearer …`; None without.
        debug: whether /debug/ is there: "off", with the "token" only, or "on" for all who get in.
        is_local: the address is one of this machine only, so the Host field must be one too.
        configuration: the effective configuration as text, its secrets masked.
        mounts: where in the public tree origins appear.
        cached: the names of the origins of which slices are kept.
        purge_timeout: seconds that workers have to confirm a purge.
        former: directories of slices that earlier configurations of this process named. What is in
            them is given again when one is named anew, so that purges reach them too.
    """

    token: str | None = None
    debug: Literal["off", "token", "on"] = "token"
    is_local: bool = True
    configuration: str = ""
    mounts: tuple[Mount, ...] = ()
    cached: tuple[str, ...] = ()
    purge_timeout: float = 30.0
    former: tuple[str, ...] = ()
