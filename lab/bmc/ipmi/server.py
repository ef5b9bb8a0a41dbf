"""A virtual IPMI BMC: one UDP socket, from datagram to datagram.

What comes damaged, unsigned or from nobody known gets no answer at all. A packet that the dice lose on its way here is
read all the same, so that the ledger knows what its sender believes.

What the faults of `lab.bmc.dice` are here: a command, or an order what to boot from, that is refused is answered with
FFh, or with C0h where the BMC is busy, which also says to a login that no session is left; an unauthorized login is
answered as if nobody had that name; slow and dropped are the answers to commands; a packet is lost on either way.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Final, cast

from lab.bmc.chassis import Button, Chassis
from lab.bmc.dice import Dice, Fault
from lab.bmc.ipmi.commands import CLOSE_SESSION, Answer, Commands
from lab.bmc.ipmi.login import Login
from lab.bmc.ipmi.messages import Request, read_request
from lab.bmc.ipmi.packets import Frame, Malformed, Payload, Ping, Plain, read_packet
from lab.bmc.ipmi.sessions import Peer, Session, Sessions
from lab.bmc.ledger import Ledger
from lab.holding import Hold

# Real BMCs take longer. pyghmi stalls for up to a second now and then where an answer comes within half of this.
LEAST_DELAY_S: Final = 0.001


class VirtualIpmiBmc:
    """One BMC with its own socket. status_delay_s: latency that is added to every answer."""

    def __init__(self, chassis: Chassis, dice: Dice | None = None, ledger: Ledger | None = None) -> None:
        self.dice = dice or Dice()
        self.ledger = ledger or Ledger()
        self.status_delay_s = 0.0
        self.host = ""
        self.port = 0
        self.sessions = Sessions(self.ledger)
        self._login = Login(self.sessions, self.dice, self.ledger)
        self._commands = Commands(chassis, self.dice, self.ledger, self.sessions)
        self._holds: dict[tuple[Button | None, bool], Hold] = {}
        self._held: set[asyncio.Task[None]] = set()
        self._socket: asyncio.DatagramTransport | None = None
        self._expiry: asyncio.TimerHandle | None = None

    @property
    def calls(self) -> Counter[str]:
        """How often it was asked for `status` and for each button, and for what belongs to a session."""
        return self.ledger.calls

    async def serve(self, host: str = "127.0.0.1", port: int = 0) -> int:
        """Listen; returns the port."""
        loop = asyncio.get_running_loop()
        self._socket, _ = await loop.create_datagram_endpoint(lambda: _Datagrams(self), (host, port))
        self.host, self.port = self._socket.get_extra_info("sockname")[:2]
        return self.port

    async def stop(self) -> None:
        """Stop listening, and forget what was told and not done yet."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        if self._expiry is not None:
            self._expiry.cancel()
            self._expiry = None
        for held in self._held:
            held.cancel()

    def hold(self, button: Button, *, done: bool = False) -> Hold:
        """Hold such commands back: they have come in, and are not carried out yet. done: they are, but not answered."""
        held = self._holds[button, done] = Hold()
        return held

    def set_login(self, username: str, password: str) -> None:
        """Make this user, or give it this password.

        Raises:
            ValueError: IPMI has no room for one of them.
        """
        self._login.set_user(username, password)

    def came(self, data: bytes, peer: Peer) -> None:
        """Take a datagram."""
        lost = self.dice.falls(Fault.PACKET_LOSS)
        try:
            packet = read_packet(data)
            if isinstance(packet, Frame):
                self._framed(packet, peer, lost=lost)
            elif not lost:
                self._answer(packet.pong() if isinstance(packet, Ping) else self._outside(packet).packed(), peer)
        except Malformed:
            return

    def _outside(self, packet: Plain | Frame) -> Plain | Frame:
        """Answer a question that needs no session, packed as it has come: IPMI 1.5 has no login here."""
        if packet.session_id:
            raise Malformed("in no session")
        request = read_request(packet.payload)
        answer = self._commands.outside(request)
        return replace(packet, payload=request.answer(answer.completion, answer.data))

    def _framed(self, frame: Frame, peer: Peer, *, lost: bool) -> None:
        if frame.signed or frame.encrypted:
            self._message(frame, peer, lost=lost)
        elif frame.kind is Payload.IPMI:
            if not lost:
                self._answer(self._outside(frame).packed(), peer)
        elif lost:
            self._login.lost(frame)
        else:
            reply, session = self._login.step(frame, peer)
            arrives = self._answer(reply.packed(), peer)
            if session is not None:
                session.lossy |= not arrives
                self._watch()

    def _message(self, frame: Frame, peer: Peer, *, lost: bool) -> None:
        session = self.sessions.find(frame.session_id)
        if session is None or session.keys is None or frame.kind is not Payload.IPMI:
            raise Malformed("in no session")
        request = read_request(session.keys.unseal(frame))
        if lost:
            if request.name == CLOSE_SESSION:
                self.sessions.left(session)
            return
        if not session.takes(frame.sequence):
            return
        self.sessions.used(session)
        button = self._commands.came_in(session, request)
        self._past(self._holds.get((button, False)), lambda: self._carry_out(button, session, request, peer))

    def _past(self, hold: Hold | None, act: Callable[[], None]) -> None:
        """Act, once a hold is passed."""
        if hold is None:
            act()
            return

        async def wait() -> None:
            await hold.passed()
            act()

        held = asyncio.get_running_loop().create_task(wait())
        self._held.add(held)
        held.add_done_callback(self._held.discard)

    def _carry_out(self, button: Button | None, session: Session, request: Request, peer: Peer) -> None:
        answer = self._commands.carry_out(session, request)
        if not answer.lost:
            self._past(self._holds.get((button, True)), lambda: self._reply(session, request, answer, peer))

    def _reply(self, session: Session, request: Request, answer: Answer, peer: Peer) -> None:
        if session.keys is None:
            return
        message = request.answer(answer.completion, answer.data)
        frame = session.keys.seal(session.console_id, session.next_sequence(), message)
        slow_s = self.dice.odds.slow_s if self.dice.falls(Fault.SLOW) else 0.0
        self._answer(frame.packed(), peer, slow_s)

    def _answer(self, data: bytes, peer: Peer, slow_s: float = 0.0) -> bool:
        """Send it in a while; whether it will arrive."""
        if self.dice.falls(Fault.PACKET_LOSS):
            return False
        delay_s = max(LEAST_DELAY_S, self.status_delay_s + slow_s)
        asyncio.get_running_loop().call_later(delay_s, self._send, data, peer)
        return True

    def _send(self, data: bytes, peer: Peer) -> None:
        if self._socket is not None:
            self._socket.sendto(data, peer)

    def _watch(self) -> None:
        """Drop sessions in time also where nobody asks for anything."""
        ends_s = self.sessions.next_end_s()
        if self._expiry is None and ends_s is not None:
            delay_s = max(0.0, ends_s - time.monotonic())
            self._expiry = asyncio.get_running_loop().call_later(delay_s, self._expire)

    def _expire(self) -> None:
        self._expiry = None
        self.sessions.expire()
        self._watch()


class _Datagrams(asyncio.DatagramProtocol):
    """What asyncio calls."""

    def __init__(self, bmc: VirtualIpmiBmc) -> None:
        self._bmc = bmc

    def datagram_received(self, data: bytes, addr: tuple[str | int, ...]) -> None:
        self._bmc.came(data, cast(Peer, addr))
