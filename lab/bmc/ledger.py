"""What happened at one virtual BMC: what it was asked for, what it did, who logged in, and how many at a time."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Hashable, Iterator

from lab.bmc.chassis import Button


class Ledger:
    """The book of one BMC, which it writes and others read.

    calls: what was asked for as it came in: `status`, each button by its value, and whatever else the kind has.
    executed: which buttons were really pressed.
    logins, refused_logins: logins (or requests with a login) that were let in, and that were not.
    refused_in_a_row: how many were refused since the last that was let in, or since the login was changed;
    most_refused_in_a_row: the most of these so far.
    sessions, most_sessions: sessions that are open now, and the most that ever were.
    sessions_expired: those that nobody closed.
    slots: places that logins hold now, where a BMC has few, whether or not their program knows of it;
    slots_expired: those that a program had, and did not give back.
    users, most_users: different peers that are served now, and the most that ever were.
    graceful_resets: orders that ask the operating system, which a provider must never give.
    """

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self.executed: Counter[Button] = Counter()
        self.logins = 0
        self.refused_logins = 0
        self.refused_in_a_row = 0
        self.most_refused_in_a_row = 0
        self.sessions = 0
        self.most_sessions = 0
        self.sessions_expired = 0
        self.slots = 0
        self.slots_expired = 0
        self.most_users = 0
        self.graceful_resets = 0
        self._served: Counter[Hashable] = Counter()

    @property
    def users(self) -> int:
        """How many different peers are served now."""
        return len(self._served)

    def called(self, name: str) -> None:
        """Something was asked for."""
        self.calls[name] += 1

    def pressed(self, button: Button) -> None:
        """A button was really pressed."""
        self.executed[button] += 1

    def asked_gracefully(self) -> None:
        """A reset or a power-off was asked for that leaves the deed to the operating system."""
        self.graceful_resets += 1

    def login(self, *, accepted: bool) -> None:
        """Somebody logged in, or was refused."""
        if accepted:
            self.logins += 1
            self.refused_in_a_row = 0
            return
        self.refused_logins += 1
        self.refused_in_a_row += 1
        self.most_refused_in_a_row = max(self.most_refused_in_a_row, self.refused_in_a_row)

    def login_changed(self) -> None:
        """The BMC has another login now: what was refused before says nothing of it."""
        self.refused_in_a_row = 0

    def session_opened(self) -> None:
        """A session was opened."""
        self.sessions += 1
        self.most_sessions = max(self.most_sessions, self.sessions)

    def session_closed(self, *, expired: bool = False) -> None:
        """A session was closed by who opened it, or expired since nobody did."""
        self.sessions -= 1
        self.sessions_expired += expired

    def slot_taken(self) -> None:
        """A login has taken a place."""
        self.slots += 1

    def slot_freed(self, *, expired: bool = False) -> None:
        """Its place is free. expired: since nothing was heard of its program, which could have given it back."""
        self.slots -= 1
        self.slots_expired += expired

    def user_came(self, peer: Hashable) -> None:
        """A peer begins to be served: a connection, a session, whatever tells one user from another."""
        self._served[peer] += 1
        self.most_users = max(self.most_users, self.users)

    def user_went(self, peer: Hashable) -> None:
        """A peer is served no more (as often as it came)."""
        self._served[peer] -= 1
        if self._served[peer] <= 0:
            del self._served[peer]

    @contextlib.contextmanager
    def serving(self, peer: Hashable) -> Iterator[None]:
        """A peer is served inside."""
        self.user_came(peer)
        try:
            yield
        finally:
            self.user_went(peer)
