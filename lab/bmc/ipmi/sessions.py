"""The sessions of one BMC: its few slots, who holds them, and until when.

Two users at a time show in the ledger when their packets come crosswise: a session that is heard of again after a
later one was begun. One that is merely left behind, since its user died or its Close was lost, is nobody's at work.
Nor is one counted as open whose program cannot know of it, or has closed it with a packet that was lost.
"""

from __future__ import annotations

import enum
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from lab.bmc.ipmi.keys import Keys, Proof, Suite
from lab.bmc.ipmi.messages import Request
from lab.bmc.ledger import Ledger

Peer = tuple[str, int]

SLOTS: Final = 4  # what the smallest BMCs have
SESSION_S: Final = 60.0  # §6.12.15: a session that is not heard of for this long is closed
HANDSHAKE_S: Final = 10.0  # a program that has not logged in by then has given up: those that are patient wait 5 s
WINDOW_BEHIND: Final = 16  # §6.12.13: how far numbers of packets may lie apart
WINDOW_AHEAD: Final = 15


class Level(enum.IntEnum):
    """How much a user may do (§6.8)."""

    USER = 2
    OPERATOR = 3
    ADMINISTRATOR = 4


@dataclass(slots=True, eq=False)
class Session:
    """One session, from its first packet on.

    console_id, bmc_id: the numbers that the two sides call it by.
    peer: who began it.
    most: the highest level that its program may take; level: the one that it has.
    last: the request before.
    proof: what was said in the handshake; None before RAKP message 1.
    keys: None before the login.
    lossy: a packet of its handshake was lost on the way, so that silence says nothing about its program.
    used: a command came in it.
    counted: it stands in the ledger as open: its program has used it, and has not closed it.
    """

    suite: Suite
    console_id: int
    bmc_id: int
    peer: Peer
    most: int
    heard_s: float
    proof: Proof | None = None
    keys: Keys | None = None
    lossy: bool = False
    used: bool = False
    counted: bool = False
    at_work: bool = True
    level: int = Level.USER
    sent: int = 0
    newest: int = 0
    last: Request | None = None

    def takes(self, sequence: int) -> bool:
        """Whether a packet with this number is taken.

        One that has come before is, too, though the standard has it dropped: not all BMCs do, and a command that was
        sent twice is to be seen here as done twice.
        """
        if not sequence or not -WINDOW_BEHIND <= sequence - self.newest <= WINDOW_AHEAD:
            return False
        self.newest = max(self.newest, sequence)
        return True

    def next_sequence(self) -> int:
        """The number of the BMC's next packet."""
        self.sent += 1
        return self.sent

    @property
    def ends_s(self) -> float:
        """When it is given up if nothing is heard of it, on the monotonic clock."""
        return self.heard_s + (SESSION_S if self.keys else HANDSHAKE_S)


class Sessions:
    """All sessions of a BMC. slots: how many it has room for."""

    def __init__(self, ledger: Ledger, clock: Callable[[], float] = time.monotonic) -> None:
        self.slots = SLOTS
        self._ledger = ledger
        self._clock = clock
        self._open: dict[int, Session] = {}

    def begin(self, suite: Suite, console_id: int, peer: Peer, most: int) -> Session | None:
        """Give a slot to a program; None where all are taken."""
        self.expire()
        for session in [one for one in self._open.values() if one.peer == peer and not one.keys]:
            self._drop(session)  # who begins anew has given up what it had begun
        if len(self._open) >= self.slots:
            return None
        for session in self._open.values():
            self._rest(session)
        session = Session(suite, console_id, self._fresh_id(), peer, most, self._clock())
        self._open[session.bmc_id] = session
        self._ledger.user_came(session.bmc_id)
        return session

    def find(self, bmc_id: int) -> Session | None:
        """The session that the BMC calls so."""
        self.expire()
        return self._open.get(bmc_id)

    def logged_in(self, session: Session, keys: Keys) -> None:
        """Its program has proved who it is."""
        session.keys = keys
        self._ledger.slot_taken()
        self._ledger.login(accepted=True)

    def heard(self, session: Session) -> None:
        """Its user is at work."""
        session.heard_s = self._clock()
        if not session.at_work:
            session.at_work = True
            self._ledger.user_came(session.bmc_id)

    def used(self, session: Session) -> None:
        """A command came in it, so that its program knows of it."""
        self.heard(session)
        session.used = True
        if not session.counted:
            session.counted = True
            self._ledger.session_opened()

    def left(self, session: Session) -> None:
        """Its user has closed it, and the BMC has not heard it."""
        self._rest(session)
        self._uncount(session)

    def refuse(self, session: Session) -> None:
        """Give the slot back of a program that may not log in."""
        self._forget(session)
        self._ledger.login(accepted=False)

    def close(self, session: Session) -> None:
        """Give its slot back."""
        self._forget(session)
        self._uncount(session)

    def expire(self) -> None:
        """Drop those that were not heard of for too long."""
        now_s = self._clock()
        for session in [session for session in self._open.values() if session.ends_s <= now_s]:
            self._drop(session)

    def next_end_s(self) -> float | None:
        """When the next one is to be dropped, on the monotonic clock; None where there is none."""
        return min((session.ends_s for session in self._open.values()), default=None)

    def _drop(self, session: Session) -> None:
        """A program that got RAKP message 2 and says nothing more saw there that its password is wrong.

        One that was let in had to close the session, unless the answer that said so may not have reached it.
        """
        self._forget(session, expired=session.used or not session.lossy)
        self._uncount(session, expired=True)
        if session.proof and not session.keys and not session.lossy:
            self._ledger.login(accepted=False)

    def _uncount(self, session: Session, *, expired: bool = False) -> None:
        if session.counted:
            session.counted = False
            self._ledger.session_closed(expired=expired)

    def _forget(self, session: Session, *, expired: bool = False) -> None:
        self._rest(session)
        if session.keys:
            self._ledger.slot_freed(expired=expired)
        del self._open[session.bmc_id]

    def _rest(self, session: Session) -> None:
        if session.at_work:
            session.at_work = False
            self._ledger.user_went(session.bmc_id)

    def _fresh_id(self) -> int:
        while True:
            fresh = 1 + secrets.randbelow(0xFFFFFFFE)
            if fresh not in self._open:
                return fresh
