"""The connections to gateways, one for each address, kept while they are of use.

Each start of a gateway may bring a new address. A connection that no call used for a while is closed, when another
one is asked for.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import monotonic
from typing import Final

import grpc

# Polls use a living gateway's connection every few minutes at most; to open one again takes milliseconds.
IDLE_LIMIT_S: Final = 600.0


@dataclass(slots=True)
class _Kept:
    """A channel with the number of calls on it now, and when it was last used by the monotonic clock."""

    channel: grpc.Channel
    calls: int = 0
    used_s: float = 0.0


class Channels:
    """Channels by address, for use from any number of threads or greenlets."""

    def __init__(self, connect: Callable[[str], grpc.Channel]) -> None:
        self._connect = connect
        self._lock = threading.Lock()
        self._kept: dict[str, _Kept] = {}

    @contextmanager
    def use(self, address: str) -> Iterator[grpc.Channel]:
        """The channel to an address; it stays open for the length of the block."""
        with self._lock:
            kept = self._kept.get(address)
            if kept is None:
                kept = self._kept[address] = _Kept(self._connect(address))
            kept.calls += 1
            idle = self._take_idle()
        for channel in idle:
            channel.close()
        try:
            yield kept.channel
        finally:
            with self._lock:
                kept.calls -= 1
                kept.used_s = monotonic()

    def close(self) -> None:
        """Close all channels, also those with calls on them."""
        with self._lock:
            every, self._kept = self._kept, {}
        for kept in every.values():
            kept.channel.close()

    def _take_idle(self) -> list[grpc.Channel]:
        since_s = monotonic() - IDLE_LIMIT_S
        idle = [address for address, kept in self._kept.items() if not kept.calls and kept.used_s < since_s]
        return [self._kept.pop(address).channel for address in idle]
