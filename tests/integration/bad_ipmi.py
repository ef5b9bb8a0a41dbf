"""An IPMI BMC that behaves badly on demand: it loses chosen packets, and answers chosen requests with chosen codes."""

import asyncio
import concurrent.futures
import contextlib
import random
import threading
from collections import Counter
from functools import partial

from app.machine.model import Ipmi
from lab.bmc.dice import Dice, Odds
from lab.bmc.fleet import FleetMachine
from lab.bmc.ipmi.commands import Answer
from lab.bmc.ipmi.handshake import Status, read_rakp1, refused
from lab.bmc.ipmi.packets import Frame, Payload
from lab.bmc.ipmi.server import VirtualIpmiBmc
from lab.bmc.ipmi.sessions import Level
from lab.bmc.ledger import Ledger

USER, PASSWORD = "admin", "secret-of-16-byt"
# Of the packets outside of IPMI 2.0, of which there is one question and its answer.
PLAIN = -1
OPEN, OPENED, RAKP1, RAKP2, RAKP3, RAKP4 = range(0x10, 0x16)
STATUS, CONTROL, SET_BOOT, DEVICE_ID, SET_LEVEL, CLOSE = (0, 1), (0, 2), (0, 8), (6, 1), (6, 0x3B), (6, 0x3C)
EVER = 1_000_000


class BadIpmiBmc(VirtualIpmiBmc):
    """All are counted down to 0, where it behaves again.

    lose_in, lose_out: packets of this kind, to the BMC and from it.
    lose_request, lose_answer: requests within a session, by their name.
    late_s: how much later a request is answered, by its name.
    codes: the completion code that a request is answered with instead of being done.
    noise: packets that are no answers, sent before each one.
    no_administrator: the status that whoever wants to be one is refused with.
    refusals: logins that are refused as if nobody had that name.
    """

    def __init__(self, machine, dice):
        super().__init__(machine, dice, Ledger())
        self.machine = machine
        self.lose_in, self.lose_out = Counter(), Counter()
        self.lose_request, self.lose_answer = Counter(), Counter()
        self.late_s, self.codes = {}, {}
        self.noise = ()
        self.no_administrator = self.refusals = 0
        self.packets = Counter()

    def came(self, data, peer):
        self.packets[kind_of(data)] += 1
        if not counted_down(self.lose_in, kind_of(data)):
            super().came(data, peer)

    def _send(self, data, peer):
        for packet in self.noise:
            super()._send(packet, peer)
        if not counted_down(self.lose_out, kind_of(data)):
            super()._send(data, peer)

    def _framed(self, frame, peer, *, lost):
        if self.no_administrator and frame.kind is Payload.RAKP1 and frame.payload[24] & 0x0F == Level.ADMINISTRATOR:
            asked = read_rakp1(frame.payload)
            console_id = self.sessions.find(asked.bmc_id).console_id
            self._answer(Frame(Payload.RAKP2, refused(asked.tag, self.no_administrator, console_id)).packed(), peer)
        elif self.refusals and frame.kind is Payload.RAKP1:
            self.refusals -= 1
            asked = read_rakp1(frame.payload)
            session = self.sessions.find(asked.bmc_id)
            self.sessions.refuse(session)
            payload = refused(asked.tag, Status.NAME_UNKNOWN, session.console_id)
            self._answer(Frame(Payload.RAKP2, payload).packed(), peer)
        else:
            super()._framed(frame, peer, lost=lost)

    def _message(self, frame, peer, *, lost):
        session = self.sessions.find(frame.session_id)
        if session is not None and session.keys is not None and self.lose_request:
            packed = session.keys.unseal(frame)
            lost = lost or counted_down(self.lose_request, (packed[1] >> 2, packed[5]))
        super()._message(frame, peer, lost=lost)

    def _carry_out(self, button, session, request, peer):
        if request.name in self.codes:
            self._reply(session, request, Answer(self.codes[request.name]), peer)
        else:
            super()._carry_out(button, session, request, peer)

    def _reply(self, session, request, answer, peer):
        if not counted_down(self.lose_answer, request.name):
            reply = partial(super()._reply, session, request, answer, peer)
            asyncio.get_running_loop().call_later(self.late_s.get(request.name, 0), reply)

    @property
    def slots_taken(self):
        return len(self.sessions._open)


def kind_of(data):
    return data[5] & 0x3F if len(data) > 5 and data[4] == 6 else PLAIN


def counted_down(counter, key):
    if counter[key] <= 0:
        return False
    counter[key] -= 1
    return True


class BadBmcs:
    """BMCs that run in a thread; `close()` ends them."""

    def __init__(self):
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="bad-bmcs")
        self._thread.start()
        self._bmcs = []

    def add(self, host="127.0.0.1", odds="", seed=0):
        bmc = BadIpmiBmc(FleetMachine("machine"), Dice(Odds.parse(odds), seed))
        bmc.set_login(USER, PASSWORD)
        self._call(bmc.serve(host))
        self._bmcs.append(bmc)
        return bmc

    def close(self):
        for bmc in self._bmcs:
            self._call(bmc.stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _call(self, coroutine):
        future = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        with contextlib.suppress(concurrent.futures.TimeoutError):
            return future.result(10)


def login_of(bmc, user=USER, password=PASSWORD, address=None):
    return Ipmi(address or bmc.host, bmc.port, user, password)


def nonsense(seed):
    """Packets that are none, are cut short, or belong to nobody."""
    chance = random.Random(seed)
    heads = (b"", b"\x06", b"\x06\x00\xff\x07", b"\x06\x00\xff\x07\x06\xc0", b"\x06\x00\xff\x07\x06\x11" + bytes(10))
    return tuple(head + chance.randbytes(chance.randrange(60)) for head in heads * 4)
