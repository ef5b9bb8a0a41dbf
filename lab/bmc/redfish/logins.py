"""Who may ask a virtual Redfish service for something: users, sessions, and who is being served."""

from __future__ import annotations

import asyncio
import base64
import hmac
import secrets
from dataclasses import dataclass
from typing import Final

from lab.bmc.dice import Fault
from lab.bmc.redfish import documents
from lab.bmc.redfish.answers import Refused, busy, not_found, unauthorized
from lab.bmc.redfish.service import Service
from lab.http import Request

# A session that nobody uses is dropped after that; real services take minutes, and schemas 30 s at least.
SESSION_TIMEOUT_S: Final = 60


@dataclass(slots=True)
class Session:
    """One session.

    used_s: when it was used last, by the clock of the event loop.
    expiry: looks whether that is too long ago.
    """

    path: str
    username: str
    token: str
    used_s: float
    expiry: asyncio.TimerHandle


class Logins:
    """The users and sessions of one service.

    A user of the BMC, for the ledger, is a session, or a connection that asks with BasicAuth.
    """

    def __init__(self, service: Service) -> None:
        self._traits, self._dice, self._ledger = service.traits, service.dice, service.ledger
        self._users: dict[str, str] = {}
        self._sessions: dict[str, Session] = {}
        self._served: set[str] = set()
        self._last = 0

    @property
    def sessions(self) -> list[str]:
        """The paths of all open sessions."""
        return list(self._sessions)

    def set_user(self, username: str, password: str) -> None:
        """Make this user, or give it this password."""
        self._users[username] = password
        self._ledger.login_changed()

    def remove_user(self, username: str) -> None:
        """Let it in no more."""
        self._users.pop(username, None)
        self._ledger.login_changed()

    def check(self, request: Request) -> None:
        """Let the request in. Raises Refused."""
        token = request.headers.get("x-auth-token")
        if token is not None:
            self._check_token(token)
            return
        scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "basic":
            raise unauthorized()
        self._check_password(*_decoded(encoded))
        if request.peer not in self._served:
            self._served.add(request.peer)
            self._ledger.user_came(request.peer)

    def gone(self, peer: str) -> None:
        """A connection has ended."""
        if peer in self._served:
            self._served.discard(peer)
            self._ledger.user_went(peer)

    def open(self, username: object, password: object) -> Session:
        """Log in and open a session. Raises Refused."""
        if not isinstance(username, str) or not isinstance(password, str):
            raise Refused(400, "PropertyMissing", "UserName and Password must be texts.")
        if self._dice.falls(Fault.BUSY):
            raise busy()
        self._check_password(username, password)
        if len(self._sessions) >= self._traits.session_slots:
            raise Refused(503, "SessionLimitExceeded", "The session establishment failed: there are too many sessions.")
        return self._begin(username)

    def _begin(self, username: str) -> Session:
        self._last += 1
        loop = asyncio.get_running_loop()
        path = f"{documents.SESSIONS}/{self._last}"
        expiry = loop.call_later(SESSION_TIMEOUT_S, self._expire, path)
        session = self._sessions[path] = Session(path, username, secrets.token_hex(16), loop.time(), expiry)
        self._ledger.session_opened()
        self._ledger.user_came(path)
        return session

    def find(self, path: str) -> Session:
        """The session at this path. Raises Refused."""
        if path not in self._sessions:
            raise not_found(path)
        return self._sessions[path]

    def close(self, session: Session, *, expired: bool = False) -> None:
        """End a session."""
        del self._sessions[session.path]
        session.expiry.cancel()
        self._ledger.session_closed(expired=expired)
        self._ledger.user_went(session.path)

    def stop(self) -> None:
        """Let what is open be, for whoever reads the ledger."""
        for session in self._sessions.values():
            session.expiry.cancel()

    def _expire(self, path: str) -> None:
        session = self._sessions[path]
        loop = asyncio.get_running_loop()
        left_s = session.used_s + SESSION_TIMEOUT_S - loop.time()
        if left_s > 0:
            session.expiry = loop.call_later(left_s, self._expire, path)
        else:
            self.close(session, expired=True)

    def _check_token(self, token: str) -> None:
        for session in self._sessions.values():
            if hmac.compare_digest(session.token.encode(), token.encode()):
                session.used_s = asyncio.get_running_loop().time()
                if self._dice.falls(Fault.UNAUTHORIZED):
                    raise unauthorized()
                return
        raise unauthorized()

    def _check_password(self, username: str, password: str) -> None:
        right = self._users.get(username)
        accepted = right is not None and hmac.compare_digest(right.encode(), password.encode())
        accepted = accepted and not self._dice.falls(Fault.UNAUTHORIZED)
        self._ledger.login(accepted=accepted)
        if not accepted:
            raise unauthorized()


def _decoded(encoded: str) -> tuple[str, str]:
    """User and password of BasicAuth; empty ones where it is none."""
    try:
        username, _, password = base64.b64decode(encoded, validate=True).decode().partition(":")
    except ValueError:
        return "", ""
    return username, password
