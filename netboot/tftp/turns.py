"""Whose turn it is: so many transfers at a time, of one address not all of them, and the others wait in a line.

Firmware asks again after one to five seconds and gives up after some tries. Who waits here begins as soon as another
has ended instead.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Final

from netboot.tftp.sockets import Client, Peer
from netboot.tftp.verdict import Send

# Each is a process of some MiB. Enough to keep two processors and a network busy.
MOST_AT_ONCE: Final = 64
# A rack of a thousand machines that boots in one second.
MOST_WAITING: Final = 1024
# So that one address, which may be a rack behind a router, leaves room for others.
SHARE_OF_ONE: Final = 0.75
# Clients ask again within five seconds. Who has not done so twice is gone.
WAIT_LIMIT_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class Waiting:
    """A file that a client waits for. asked_s: when it asked last, by the monotonic clock."""

    order: Send
    client: Client
    asked_s: float


class Turns:
    """The line, and how many of each address are being served."""

    def __init__(self) -> None:
        self._line: dict[Peer, Waiting] = {}
        self._served: Counter[str] = Counter()
        self._waiting: Counter[str] = Counter()
        # Whether anybody's turn may have come: the line is not gone through for each packet of others.
        self._changed = False

    def line_up(self, asked: Waiting) -> bool:
        """Let a client wait; who asks again keeps its place. False: there is no room."""
        peer = asked.client.peer
        if peer not in self._line:
            if len(self._line) >= MOST_WAITING or self._waiting[peer[0]] >= MOST_WAITING * SHARE_OF_ONE:
                return False
            self._waiting[peer[0]] += 1
        self._line[peer] = asked
        self._changed = True
        return True

    def take(self) -> Waiting | None:
        """The first in the line who may be served, to be told of by `served`; None where nobody may."""
        if not self._changed:
            return None
        if self._served.total() < MOST_AT_ONCE:
            for peer in self._line:
                if self._served[peer[0]] < MOST_AT_ONCE * SHARE_OF_ONE:
                    self._served[peer[0]] += 1
                    return self._leave(peer)
        self._changed = False
        return None

    def served(self, client: Client) -> None:
        """One who was taken has been served."""
        _take_off(self._served, client.peer[0])
        self._changed = True

    def forget_old(self, now_s: float) -> int:
        """Drop those who have not asked again; how many they were."""
        old = [peer for peer, waiting in self._line.items() if now_s - waiting.asked_s > WAIT_LIMIT_S]
        for peer in old:
            self._leave(peer)
        return len(old)

    def _leave(self, peer: Peer) -> Waiting:
        _take_off(self._waiting, peer[0])
        return self._line.pop(peer)


def _take_off(counter: Counter[str], address: str) -> None:
    counter[address] -= 1
    if not counter[address]:
        del counter[address]  # else each address that ever asked would be kept
