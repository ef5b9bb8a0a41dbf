"""Questions and commands in a session with a BMC: a command goes out once, a question again while nobody answers."""

from __future__ import annotations

import socket
import struct
import time
from dataclasses import dataclass

from workers.bmc.ipmi.login import APP, CLOSE_SESSION, LEAST_PATIENCE_S, Login, NoAnswer

# With three in a hundred packets lost, a question stays without an answer three times in one of five thousand.
QUESTION_TRIES = 3
# BMCs that work through a power command before they answer it take seconds.
COMMAND_S = 5.0
# The end of a session is worth three packets: a slot that is not freed is missed by the next one. Once it is freed,
# some do not answer any more, so little is waited; a slow one is not hurried.
CLOSE_TRIES, CLOSE_S = 3, 0.7

_SET_PRIVILEGE = 0x3B
_OPERATOR = 3
_PRIVILEGE_DENIED = (0x80, 0x81)


@dataclass(frozen=True, slots=True)
class Answer:
    """code: the completion code, 0 for success."""

    code: int
    data: bytes = b""


class Wire:
    """A session that is open, until `end()` or `leave()`.

    denied: the completion code with which the BMC denies all privilege; 0 where it grants enough.
    """

    def __init__(self, line: socket.socket, username: bytes, password: bytes, *, first_answer_s: float) -> None:
        """Log in; as `Login`. The socket is closed with the session, and stays the caller's where this raises."""
        self._line = line
        self._session = Login(line, username, password, first_answer_s=first_answer_s)
        try:
            self.denied = self._ask_for_privilege()
        except BaseException:
            self._session.close_blindly()
            raise

    def ask(self, netfn: int, command: int, data: bytes = b"") -> Answer:
        """Ask what may be asked twice. Raises NoAnswer, OSError."""
        return self._exchange(netfn, command, data, QUESTION_TRIES, self._session.patience_s)

    def command(self, netfn: int, command: int, data: bytes) -> Answer:
        """Send once what must not happen twice. Raises NoAnswer (nobody knows whether it was done), OSError."""
        return self._exchange(netfn, command, data, 1, COMMAND_S)

    def end(self) -> bool:
        """End the session; whether the BMC has confirmed that. Raises nothing."""
        try:
            closing = struct.pack("<I", self._session.sessionid)
            slow = self._session.patience_s > LEAST_PATIENCE_S
            wait_s = self._session.patience_s if slow else CLOSE_S
            return self._exchange(APP, CLOSE_SESSION, closing, CLOSE_TRIES, wait_s).code == 0
        except (NoAnswer, OSError):
            return False
        finally:
            self._line.close()

    def leave(self) -> None:
        """End a session of which nobody answers any more. Raises nothing."""
        self._session.close_blindly()
        self._line.close()

    def _ask_for_privilege(self) -> int:
        """Without it a session may only read, whatever its user may do. An operator may do all that is needed."""
        level = int(self._session.privlevel)
        answer = self.ask(APP, _SET_PRIVILEGE, bytes([level]))
        if answer.code in _PRIVILEGE_DENIED and level > _OPERATOR:
            answer = self.ask(APP, _SET_PRIVILEGE, bytes([_OPERATOR]))
        return answer.code

    def _exchange(self, netfn: int, command: int, data: bytes, tries: int, wait_s: float) -> Answer:
        session = self._session
        session.lastpayload = session.lastresponse = None
        session.pendingpayloads.clear()
        session.request_entry.clear()  # an answer to what was asked before is no answer to this
        session.ipmicallback = session._generic_callback  # noqa: SLF001  # there is no other
        session._send_ipmi_net_payload(netfn, command, data, retry=tries > 1)  # noqa: SLF001
        for left in reversed(range(tries)):
            end_s = time.monotonic() + wait_s
            while session.lastresponse is None and session.receive(end_s):
                pass
            if session.lastresponse is not None:
                return Answer(session.lastresponse["code"], bytes(session.lastresponse["data"]))
            if left:
                session.send_payload()
        session.seqlun = (session.seqlun + 1) & 0x3F  # an answer that comes late must not fit the next question
        raise NoAnswer
