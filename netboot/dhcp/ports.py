"""The ports of the DHCP proxy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

BROADCAST_PORT: Final = 67
"""Where clients ask all servers at once."""
PROXY_PORT: Final = 4011
"""Where a client asks again once it has an address."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """How a packet came. port: ours, one of the above. source: the sender's address and port."""

    port: int
    source: tuple[str, int]
