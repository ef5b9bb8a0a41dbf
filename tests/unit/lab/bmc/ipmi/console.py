"""A program that talks to a virtual BMC without a socket: what it sends is taken at once, and what comes is kept."""

import asyncio
import struct
from contextlib import contextmanager

from lab.bmc.ipmi.handshake import OpenRequest, Rakp1, Rakp3
from lab.bmc.ipmi.keys import SUITES, Proof
from lab.bmc.ipmi.messages import Request
from lab.bmc.ipmi.packets import Frame, Payload, Plain, read_packet
from lab.bmc.ipmi.server import LEAST_DELAY_S, VirtualIpmiBmc

USER, PASSWORD = "admin", "secret"
ADMINISTRATOR = 4
MOMENT_S = 2 * LEAST_DELAY_S  # the loop's timers come in order, also when it is late


class Chassis:
    """A machine that is nothing but its power. booted: of each boot, whether it was from the network."""

    def __init__(self, *, powered_on=False):
        self.powered_on = powered_on
        self.armed = False
        self.pressed = []
        self.booted = []

    def commanded(self, button):
        self.pressed.append(button.value)
        if button.value in {"poweron", "reboot"}:
            self.booted.append(self.armed)
        if button.value in {"poweron", "poweroff"}:
            self.powered_on = button.value == "poweron"
        self.armed = button.value == "pxeboot"


class Wire:
    """What is between a BMC and its programs; it has no length."""

    def __init__(self, bmc):
        self.bmc = bmc
        self.came = []
        bmc._socket = self

    def sendto(self, data, peer):
        self.came.append((bytes(data), peer))

    def close(self):
        pass

    async def exchange(self, data, peer=("192.0.2.1", 5000)):
        """Send a datagram; with what comes within a moment, None where nothing does."""
        self.came.clear()
        self.bmc.came(data, peer)
        await asyncio.sleep(MOMENT_S)
        assert len(self.came) < 2
        return self.came[0][0] if self.came else None


class Console:
    """One program. number: tells it from others."""

    def __init__(self, wire, number=1, suite=SUITES[0], user=USER, password=PASSWORD):
        self.wire, self.suite = wire, suite
        self.peer = ("192.0.2.1", 5000 + number)
        self.console_id = 0xA0A00000 + number
        self.user, self.password = user.encode(), password.encode()
        self.bmc_id = 0
        self.sequence = 0
        self.request = 0
        self.keys = None

    async def step(self, kind, payload):
        """One step of the handshake: the payload of the answer."""
        data = await self.wire.exchange(Frame(kind, payload).packed(), self.peer)
        return read_packet(data).payload if data else None

    async def open(self, privilege=0):
        """Ask for a session: the status."""
        answer = await self.step(
            Payload.OPEN_REQUEST, OpenRequest(7, privilege, self.console_id, self.suite.algorithms).packed()
        )
        if answer is None:
            return None
        assert answer[0] == 7 and answer[4:8] == struct.pack("<I", self.console_id)
        self.bmc_id = struct.unpack_from("<I", answer, 8)[0] if not answer[1] else 0
        return answer[1]

    async def identify(self, role=0x10 | ADMINISTRATOR):
        """Say who it is: the status."""
        ours = bytes(range(16))
        answer = await self.step(Payload.RAKP1, Rakp1(8, self.bmc_id, ours, role, self.user).packed())
        if answer is None or answer[1]:
            return answer and answer[1]
        self.proof = Proof(
            self.suite, self.console_id, self.bmc_id, ours, answer[8:24], answer[24:40], role, self.user
        )
        self.bmc_knows_password = answer[40:] == self.proof.of_bmc(self.password)
        return answer[1]

    async def prove(self, status=0):
        """Prove it: the status."""
        said = Rakp3(9, status, self.bmc_id, self.proof.of_console(self.password))
        answer = await self.step(Payload.RAKP3, said.packed())
        if answer is None or answer[1]:
            return answer and answer[1]
        session_key = self.proof.session_key(self.password)
        assert answer[8:] == self.proof.of_session(session_key)
        self.keys = self.proof.keys(session_key)
        return answer[1]

    async def login(self, level=ADMINISTRATOR):
        """All of it."""
        assert (await self.open(), await self.identify(), await self.prove()) == (0, 0, 0)
        assert await self.ask(6, 0x3B, bytes([level])) == (0, bytes([level]))
        return self

    def packed(self, netfn, command, data=b"", *, sequence=None, request=None):
        """A request as it goes over the wire; with the next numbers unless they are given."""
        self.sequence += sequence is None
        self.request += request is None
        message = Request(netfn, command, data, (self.request if request is None else request) % 64).packed()
        return self.keys.seal(self.bmc_id, self.sequence if sequence is None else sequence, message).packed()

    async def ask(self, netfn, command, data=b"", **numbers):
        """The completion code and the data of the answer; None where none comes."""
        answer = await self.wire.exchange(self.packed(netfn, command, data, **numbers), self.peer)
        return self.read(answer) if answer else None

    def read(self, answer):
        frame = read_packet(answer)
        assert frame.session_id == self.console_id
        message = self.keys.unseal(frame)
        return message[6], message[7:-1]

    async def close(self):
        return await self.ask(6, 0x3C, struct.pack("<I", self.bmc_id))


async def outside(wire, netfn, command, data=b""):
    """Ask outside of a session, as IPMI 1.5 does: the completion code and the data."""
    answer = await wire.exchange(Plain(Request(netfn, command, data).packed()).packed())
    message = read_packet(answer).payload
    return message[6], message[7:-1]


@contextmanager
def wired(**made):
    """A BMC with its wire and its chassis."""
    chassis = made.pop("chassis", None) or Chassis()
    bmc = VirtualIpmiBmc(chassis, **made)
    bmc.set_login(USER, PASSWORD)
    yield Wire(bmc), chassis


async def until(condition):
    """Wait for something that no event tells; the test's own limit ends it."""
    while not condition():  # noqa: ASYNC110 - what is waited for is a state of the BMC
        await asyncio.sleep(0.005)
