"""Whether one more connection is accepted: limits in all and for each address. Decides only."""

from __future__ import annotations

import ipaddress


class Admission:
    """Counts connections. `most` and `most_per_address`: 0 for no limit."""

    def __init__(self, most: int, most_per_address: int) -> None:
        self._most = most
        self._most_per_address = most_per_address
        self._by_party: dict[str, int] = {}
        self.count = 0

    @property
    def most(self) -> int:
        """How many there may be; 0 for no limit."""
        return self._most

    @property
    def full(self) -> bool:
        """Whether there are as many as there may be in all."""
        return bool(self._most) and self.count >= self._most

    def admit(self, party: str) -> bool:
        """Counts one more connection of a party, unless it is one too many; then nothing is
        counted."""
        own = self._by_party.get(party, 0)
        if self.full:
            return False
        if self._most_per_address and party and own >= self._most_per_address:
            return False
        self._by_party[party] = own + 1
        self.count += 1
        return True

    def dismiss(self, party: str) -> None:
        """One connection of a party is over."""
        self.count -= 1
        left = self._by_party[party] - 1
        if left:
            self._by_party[party] = left
        else:
            del self._by_party[party]


def party_of(host: str) -> str:
    """Who counts as one client: an IPv4 address, or the /64 network of an IPv6 one, as whoever
    has one such address has all of them (RFC 6177). Empty for a Unix socket."""
    if ":" not in host:
        return host
    address = ipaddress.IPv6Address(host.partition("%")[0])
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.IPv6Network((address, 64), strict=False))
