"""What the fault origin saw of one path. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Counts:
    """What was seen of one path: requests, and body bytes that went out."""

    requests: int = 0
    bytes: int = 0
    gets: int = 0
    get_bytes: int = 0
    heads: int = 0
    head_bytes: int = 0
    ranges: list[str] = field(default_factory=list)

    def asked(self, method: str, ranges: str) -> None:
        """One more request."""
        self.requests += 1
        self.gets += method == "GET"
        self.heads += method == "HEAD"
        self.ranges.append(ranges)

    def sent(self, method: str, count: int) -> None:
        """More bytes of a body."""
        self.bytes += count
        self.get_bytes += count * (method == "GET")
        self.head_bytes += count * (method == "HEAD")

    def add(self, other: Counts) -> None:
        """Adds another path's numbers, without its ranges."""
        for name in ("requests", "bytes", "gets", "get_bytes", "heads", "head_bytes"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
