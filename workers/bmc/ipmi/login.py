"""The login of IPMI 2.0 on a socket of its own: pyghmi's packets and handshake, our clock.

The session that pyghmi hands out shares one thread, its sockets and select(2) with all others of the process: with
lost packets it deadlocks in threads, a socket numbered 1024 or more ends it for all, two users of one BMC get the
same session, and what is not answered is sent again, a power cycle too. So only the part that builds and reads packets
is used; here it is sent and waited. That needs nothing of the process, and is as good in threads as in greenlets.

Each wait has an end that no packet puts off.
"""

from __future__ import annotations

import contextlib
import hashlib
import random
import socket
import struct
import time
from typing import Any

from pyghmi.ipmi.private.simplesession import Session

# A BMC that is there answers its first packet in milliseconds, and the slowest known in 2.5 s; five seconds are the
# limit that operators know from the Go provider.
FIRST_ANSWER_S = 5.0
# The first packet, or its answer, may be lost. Slow BMCs work off what they get one by one, so none is sent again in
# the first three of the five seconds; and then one each second.
FIRST_AGAIN_SHARE, FURTHER_AGAIN_SHARE = 0.6, 0.2
# How long each further step waits: three times what the last answer took, but a weak BMC may take two seconds over
# the sums of a login, and none more than five over anything.
LEAST_PATIENCE_S, MOST_PATIENCE_S, PATIENCE_FACTOR = 2.0, 5.0, 3.0
# With three in a hundred packets lost, one login in six loses one of its last six; four in a row are lost in one of
# a thousand. Each one that is begun anew holds one of the BMC's few slots until the BMC forgets it.
BEGINNINGS = 4
# Of these, those in which nothing comes to the user's name: a BMC that keeps silent about users it does not know may
# count each as a failed login, and lock out.
UNNAMED = 3
# Five answers of 2.5 s each, and some of them twice.
LOGIN_S = 20.0

APP, CLOSE_SESSION = 6, 0x3C
_LONGEST_PACKET = 3000
_RAKP3 = 0x14
_ROLE_DENIED, _LEVEL_DENIED, _NAME_UNKNOWN, _BAD_PROOF = 0x09, 0x0A, 0x0D, 0x0F
# RAKP-HMAC-SHA1 as the answer to an open session request names it, and how much of its sums signs a packet.
_CHOSEN_AT, _SHA1, _SHA1_SIGNATURE = 16, 1, 12
_RMCP, _IPMI_CLASS = b"\x06", b"\xff\x07"


class NoAnswer(Exception):
    """Nobody answered in time; the text says what."""


class Silent(NoAnswer):
    """There was no sign of life at all."""


class NameUnanswered(NoAnswer):
    """The BMC has answered, but not to the user's name."""


class LoginRefused(Exception):
    """The BMC refuses to open a session.

    status: the RMCP+ status code that it gave; 0 where it gave none.
    wrong_password: its own proof shows that it has another password than ours.
    """

    def __init__(self, words: str, status: int, *, wrong_password: bool = False) -> None:
        super().__init__(words)
        self.status = status
        self.wrong_password = wrong_password


class OldProtocol(Exception):
    """The BMC speaks IPMI 1.5 only."""


class Login(Session):  # type: ignore[misc]  # pyghmi has no type hints
    """A session whose keys are agreed on when it is made."""

    def __init__(self, line: socket.socket, username: bytes, password: bytes, *, first_answer_s: float) -> None:
        """Log in. The socket stays the caller's where this raises.

        Args:
            line: a UDP socket that is connected to the BMC.
            username: at most 16 bytes.
            password: at most 20 bytes.
            first_answer_s: how long to wait for a sign of life.

        Raises:
            Silent, NoAnswer, LoginRefused, OldProtocol, OSError.
        """
        self._line = line
        self._began_s = self._sent_s = time.monotonic()
        self._first_answer_s = first_answer_s
        self._beginnings, self._unnamed = 1, 0
        self._alive = self._sent_again = False
        self._status = 0
        self.sequencenumber: int = 0
        self.confalgo: int | str = 0
        self.patience_s = first_answer_s * FIRST_AGAIN_SHARE
        super().__init__("", username, password)

    def close_blindly(self) -> None:
        """Close what the BMC may hold for open though we do not know it, and be as before the login."""
        if self.sessioncontext in ("EXPECTINGRAKP4", "ESTABLISHED"):
            self.sessionid, self.sequencenumber = self.pendingsessionid, self.sequencenumber or 1
            self.integrityalgo, self.confalgo, self.lastpayload = self.attemptedhash, "aes", None
            with contextlib.suppress(OSError):
                self._send_ipmi_net_payload(APP, CLOSE_SESSION, struct.pack("<I", self.sessionid), retry=False)
        self.sessionid = self.integrityalgo = self.confalgo = self.sequencenumber = 0

    def receive(self, end_s: float) -> bool:
        """Take one packet in; False where none comes before that moment. Raises OSError: nobody listens there."""
        left_s = end_s - time.monotonic()
        if left_s <= 0:
            return False
        self._line.settimeout(left_s)
        try:
            packet = self._line.recv(_LONGEST_PACKET)
        except TimeoutError:
            return False
        # pyghmi takes the number of a packet of IPMI 1.5 for the last one sent, also where the packet is none of the
        # session's, or there is no session yet: one that strays in would have all that come after it dropped as older.
        if packet[:1] == _RMCP and packet[2:4] == _IPMI_CLASS and packet[4:5] == bytes([self.authtype]):
            if not self.sessionid:
                self.remseqnumber = 0
            # One that is cut short, or makes no sense, is as good as lost.
            with contextlib.suppress(IndexError, ValueError, struct.error):
                self._handle_ipmi_packet(bytearray(packet))
        return True

    # What pyghmi's session calls, as it was made to run in another loop.

    def _assignsocket(self) -> socket.socket:
        return self._line

    def login(self) -> None:
        """Begin the login, or begin it anew with less privilege."""
        if self._alive:
            self._open_rmcpplus_request()
            return
        self._initsession()
        self.logontries = 0  # it begins nothing anew by itself
        self._get_channel_auth_cap()

    def _initsession(self) -> None:
        super()._initsession()
        # It always takes the same number: a packet that was meant for an earlier session could be taken for ours, and
        # show a wrong password.
        self.localsid = random.SystemRandom().randrange(1, 0x7FFFFFFF)
        self.remseqnumber = 0

    def wait_for_rsp(self, timeout: float | None = None, callout: bool = True) -> None:  # noqa: FBT001, FBT002  # its names
        """Wait for one packet of the login, as long as its step may take."""
        del timeout, callout
        end_s = self._sent_s + self.patience_s
        if not self.receive(min(end_s, self._began_s + (LOGIN_S if self._alive else self._first_answer_s))):
            self._step_lost()

    def _step_lost(self) -> None:
        now_s = time.monotonic()
        if not self._alive:
            if now_s >= self._began_s + self._first_answer_s:
                raise Silent
            self.patience_s = self._first_answer_s * FURTHER_AGAIN_SHARE
            self._sent_again = True
            self.send_payload()
            return
        self.close_blindly()
        unnamed = self.sessioncontext == "EXPECTINGRAKP2"
        self._unnamed += unnamed
        if self._beginnings >= BEGINNINGS or self._unnamed >= UNNAMED or now_s >= self._began_s + LOGIN_S:
            if unnamed:
                raise NameUnanswered("the user's name (some keep silent where there is no such user)")
            raise NoAnswer("the login")
        self._beginnings += 1
        self._open_rmcpplus_request()

    def _got_channel_auth_cap(self, response: dict[str, Any]) -> None:
        self._alive = True
        self._learn_pace()
        if response["code"]:
            raise OldProtocol  # it does not understand the question for IPMI 2.0
        super()._got_channel_auth_cap(response)

    def _learn_pace(self) -> None:
        took_s = MOST_PATIENCE_S if self._sent_again else time.monotonic() - self._sent_s  # an answer to which?
        self._sent_again = False
        self.patience_s = min(max(took_s * PATIENCE_FACTOR, LEAST_PATIENCE_S), MOST_PATIENCE_S)

    def _get_session_challenge(self) -> None:
        raise OldProtocol

    def _got_rmcp_response(self, data: bytearray) -> Any:
        self._learn_pace()
        self._status = data[1]
        chosen = bytes(data[_CHOSEN_AT : _CHOSEN_AT + 1])
        awaited = self.sessioncontext == "OPENSESSION" and data[0] == self.rmcptag
        if awaited and chosen == bytes([_SHA1]):  # pyghmi's fakebmc does so, whatever it is offered
            self.attemptedhash, self.currhashlib, self.currhashlen = _SHA1, hashlib.sha1, _SHA1_SIGNATURE
        return super()._got_rmcp_response(data)

    def _got_rakp2(self, data: bytearray) -> Any:
        self._learn_pace()
        self._status = data[1]
        # pyghmi takes other answers for a reason to be less than an administrator. An unknown user is refused as an
        # operator as well, and BMCs count that as one more failure.
        if data[1] == _LEVEL_DENIED:
            data[1] = _ROLE_DENIED
        elif data[1] == _NAME_UNKNOWN and data[0] == self.rmcptag:
            self.autopriv = False
        return super()._got_rakp2(data)

    def _got_rakp4(self, data: bytearray) -> Any:
        self._learn_pace()
        self._status = data[1]
        return super()._got_rakp4(data)

    def _req_priv_level(self) -> None:
        """The keys are agreed on: pyghmi's loop ends here, the rest is asked without it."""
        self.logged = 1
        self.logging = False

    def onlogon(self, parameter: dict[str, Any]) -> None:
        """The login has failed."""
        wrong_password = self.sessioncontext == "FAILED"
        if wrong_password:
            self._break_off()
        raise LoginRefused(parameter["error"], self._status, wrong_password=wrong_password)

    def _break_off(self) -> None:
        """Have the BMC give up the slot of a login that we do not go on with."""
        self.rmcptag += 1
        self.lastpayload = None
        payload = bytearray([self.rmcptag, _BAD_PROOF, 0, 0]) + struct.pack("<I", self.pendingsessionid)
        with contextlib.suppress(OSError):
            self.send_payload(payload=payload, payload_type=_RAKP3, retry=False)

    def _xmit_packet(self, *_: Any, **__: Any) -> None:
        if self.sequencenumber:
            self.sequencenumber += 1
        self._sent_s = time.monotonic()
        self._line.send(self.netpacket)
