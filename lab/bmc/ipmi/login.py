"""The handshake as the BMC sees it: who gets a slot, who may log in, and what a step of it is answered with."""

from __future__ import annotations

import hmac
import secrets
from typing import Final

from lab.bmc.dice import Dice, Fault
from lab.bmc.ipmi.handshake import (
    LONGEST_USER_BYTES,
    RANDOM_BYTES,
    OpenRequest,
    Rakp1,
    Rakp3,
    Status,
    rakp2,
    rakp4,
    read_open,
    read_rakp1,
    read_rakp3,
    refused,
)
from lab.bmc.ipmi.keys import BY_ALGORITHMS, Proof
from lab.bmc.ipmi.packets import Frame, Malformed, Payload
from lab.bmc.ipmi.sessions import Level, Peer, Session, Sessions
from lab.bmc.ledger import Ledger

LONGEST_PASSWORD_BYTES: Final = 20


class Login:
    """The users of one BMC, all of them administrators, and how they get in. guid: what the BMC calls itself."""

    def __init__(self, sessions: Sessions, dice: Dice, ledger: Ledger) -> None:
        self.guid = secrets.token_bytes(16)
        self._sessions = sessions
        self._dice = dice
        self._ledger = ledger
        self._users: dict[bytes, bytes] = {}

    def set_user(self, username: str, password: str) -> None:
        """Make this user, or give it this password.

        Raises:
            ValueError: IPMI has no room for one of them.
        """
        name, secret = username.encode(), password.encode()
        if len(name) > LONGEST_USER_BYTES or len(secret) > LONGEST_PASSWORD_BYTES:
            raise ValueError(
                f"IPMI has room for users of {LONGEST_USER_BYTES} and passwords of {LONGEST_PASSWORD_BYTES} bytes"
            )
        self._users[name] = secret
        self._ledger.login_changed()

    def step(self, frame: Frame, peer: Peer) -> tuple[Frame, Session | None]:
        """Answer one step; with the session that it belongs to, where there is one.

        Raises:
            Malformed: it is no step of a handshake.
        """
        match frame.kind:
            case Payload.OPEN_REQUEST:
                kind, (payload, session) = Payload.OPEN_RESPONSE, self._opened(read_open(frame.payload), peer)
            case Payload.RAKP1:
                kind, (payload, session) = Payload.RAKP2, self._asked(read_rakp1(frame.payload))
            case Payload.RAKP3:
                kind, (payload, session) = Payload.RAKP4, self._proved(read_rakp3(frame.payload))
            case _:
                raise Malformed("no step of a handshake")
        return Frame(kind, payload), session

    def lost(self, frame: Frame) -> None:
        """A step was lost on its way here."""
        if frame.kind is Payload.RAKP1:
            session = self._sessions.find(read_rakp1(frame.payload).bmc_id)
        elif frame.kind is Payload.RAKP3:
            session = self._sessions.find(read_rakp3(frame.payload).bmc_id)
        else:
            return
        if session:
            session.lossy = True

    def _opened(self, asked: OpenRequest, peer: Peer) -> tuple[bytes, Session | None]:
        self._ledger.called("open session")
        suite = BY_ALGORITHMS.get(asked.algorithms)
        if suite is None:
            return asked.refusal(Status.NO_SUITE), None
        privilege = asked.privilege or Level.ADMINISTRATOR
        if not Level.USER <= privilege <= Level.ADMINISTRATOR:
            return asked.refusal(Status.PRIVILEGE_UNAVAILABLE), None
        if self._dice.falls(Fault.BUSY):
            return asked.refusal(Status.NO_SESSION_LEFT), None
        session = self._sessions.begin(suite, asked.console_id, peer, privilege)
        if session is None:
            return asked.refusal(Status.NO_SESSION_LEFT), None
        return asked.answer(session.bmc_id, privilege), session

    def _asked(self, asked: Rakp1) -> tuple[bytes, Session | None]:
        session = self._sessions.find(asked.bmc_id)
        if session is None or session.keys:
            return refused(asked.tag, Status.SESSION_UNKNOWN, 0), None
        self._ledger.called("login")
        wanted = (asked.role & 0x0F) or session.most
        password = self._users.get(asked.name)
        if len(asked.name) > LONGEST_USER_BYTES:
            return self._refused(asked.tag, Status.NAME_LENGTH, session)
        if not Level.USER <= wanted <= session.most:
            return self._refused(asked.tag, Status.PRIVILEGE_UNAVAILABLE, session)
        if password is None or self._dice.falls(Fault.UNAUTHORIZED):
            return self._refused(asked.tag, Status.NAME_UNKNOWN, session)
        self._sessions.heard(session)
        session.most = wanted
        ours = secrets.token_bytes(RANDOM_BYTES)
        session.proof = proof = Proof(
            suite=session.suite,
            console_id=session.console_id,
            bmc_id=session.bmc_id,
            console_random=asked.console_random,
            bmc_random=ours,
            guid=self.guid,
            role=asked.role,
            name=asked.name,
        )
        return rakp2(asked.tag, session.console_id, ours, self.guid, proof.of_bmc(password)), session

    def _proved(self, said: Rakp3) -> tuple[bytes, Session | None]:
        session = self._sessions.find(said.bmc_id)
        if session is None or session.proof is None:
            return refused(said.tag, Status.SESSION_UNKNOWN, 0), None
        proof, password = session.proof, self._users.get(session.proof.name, b"")
        if said.status or not hmac.compare_digest(proof.of_console(password), said.code):
            return self._refused(said.tag, Status.CODE_WRONG, session)
        session_key = proof.session_key(password)
        if not session.keys:  # else its program has not got the answer, and asks again
            self._sessions.logged_in(session, proof.keys(session_key))
        self._sessions.heard(session)
        return rakp4(said.tag, session.console_id, proof.of_session(session_key)), session

    def _refused(self, tag: int, status: Status, session: Session) -> tuple[bytes, None]:
        if not session.keys:
            self._sessions.refuse(session)
        return refused(tag, status, session.console_id), None
