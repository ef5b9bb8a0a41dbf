"""Boot clients on the network, by sockets: one that boots as firmware does, and many that ask at once.

All of it runs in the network namespace of `at`, a process (None: the test's own); sockets stay in the one they are
made in.
"""

import ctypes
import os
import socket
import struct
import threading
import time
from dataclasses import dataclass

from tests.netboot_clients.packets import ACK, DISCOVER, OFFER, REQUEST, read, request

CLONE_NEWNET = 0x40000000
SO_RCVBUFFORCE = 33
BROADCAST = "255.255.255.255"
# A server on a busy machine of two cores answers in milliseconds.
ANSWER_S = 5.0
# All servers of a network have answered when none has for this long.
SILENCE_S = 0.5
# Packets of up to 4,000 bytes, of which a receive buffer of 1 MiB takes some 200.
FLOOD_AT_ONCE = 50
FLOOD_PAUSE_S = 0.02
FIRST_XID = 0xB0000000
BUFFER_BYTES = 4 * 1024 * 1024


def client_socket(interface, port=68, at=None, kind=socket.SOCK_DGRAM):
    """A UDP socket on one interface, as firmware has it; SOCK_RAW: one that takes UDP headers of one's own."""
    made = []

    def make():
        if at is not None:
            enter_network(at)
        opened = socket.socket(socket.AF_INET, kind, socket.IPPROTO_UDP)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode() + b"\0")
        opened.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, BUFFER_BYTES)
        opened.bind(("", port))
        made.append(opened)

    # A thread of its own, which the namespace ends with: the test stays where it is.
    thread = threading.Thread(target=make)
    thread.start()
    thread.join()
    assert made, f"no socket on {interface}"
    return made[0]


def enter_network(pid):
    """Have the sockets that this thread makes from here on be in the network namespace of a process."""
    namespace = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY)
    try:
        if ctypes.CDLL(None, use_errno=True).setns(namespace, CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), f"the network namespace of {pid}")
    finally:
        os.close(namespace)


@dataclass(frozen=True, slots=True)
class Heard:
    """An answer, and who sent it (address and port)."""

    answer: object
    source: tuple


class BootClient:
    """One machine whose firmware boots from the network. Use as a context manager."""

    def __init__(self, interface, at=None, mac="52:54:00:00:00:01", arch=0, options=None):
        self._interface, self._at = interface, at
        self.mac, self.arch, self.options = mac, arch, options or {}
        self.xid = int.from_bytes(os.urandom(4), "big")
        self._discovering = client_socket(interface, 68, at)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._discovering.close()

    def packet(self, message, **further):
        """A packet of this machine."""
        return request(message, arch=self.arch, mac=self.mac, xid=self.xid, options=self.options, **further)

    def offers(self, wait_s=ANSWER_S, **further):
        """Ask all servers for what they offer, as Heard; give up after wait_s where none answers at all."""
        self._discovering.sendto(self.packet(DISCOVER, **further), (BROADCAST, 67))
        heard = []
        until_s = time.monotonic() + wait_s
        while left_s := max(0.0, until_s - time.monotonic()):
            self._discovering.settimeout(min(left_s, SILENCE_S) if heard else left_s)
            try:
                packet, source = self._discovering.recvfrom(4096)
            except TimeoutError:
                break
            answer = read(packet)
            if answer.xid == self.xid and answer.mac == self.mac and answer.message == OFFER:
                heard.append(Heard(answer, source))
        return heard

    def acknowledged(self, server, address="0.0.0.0", wait_s=ANSWER_S, port=4011, at=None):
        """Ask one server again at port 4011, from `port` as EDK2 does: what it acknowledges, or None.

        at: a process on the network where the client has its address by now; None where it is the same one.
        """
        with client_socket(self._interface, port, at or self._at) as asking:
            asking.settimeout(wait_s)
            asking.sendto(self.packet(REQUEST, ciaddr=address), (server, 4011))
            try:
                packet, source = asking.recvfrom(4096)
            except TimeoutError:
                return None
        answer = read(packet)
        assert (answer.xid, answer.message) == (self.xid, ACK)
        return Heard(answer, source)


@dataclass(frozen=True, slots=True)
class Burst:
    """What came of many DISCOVERs."""

    asked: int
    answered: int
    seconds: float

    @property
    def words(self):
        return f"{self.answered} of {self.asked} answered, {self.answered / self.seconds:.0f} a second"


def burst(interface, at=None, count=3000, size=500, wait_s=ANSWER_S):
    """Ask as `count` machines, `size` at a time: the next ones when all are answered, or after wait_s of silence."""
    answered = set()
    began_s = time.monotonic()
    with client_socket(interface, 68, at) as asking:
        for first in range(0, count, size):
            numbers = range(first, min(first + size, count))
            for number in numbers:
                mac = f"52:54:01:00:{number >> 8:02x}:{number & 255:02x}"
                asking.sendto(request(arch=7, mac=mac, xid=FIRST_XID + number), (BROADCAST, 67))
            asking.settimeout(wait_s)
            waited_for = {FIRST_XID + number for number in numbers}
            while waited_for:
                try:
                    packet = asking.recv(4096)
                except TimeoutError:
                    break
                xid = struct.unpack_from("!I", packet, 4)[0]
                if xid in waited_for and read(packet).boot_file:
                    waited_for.remove(xid)
                    answered.add(xid)
    return Burst(count, len(answered), time.monotonic() - began_s)


def flood(interface, packets, at=None, server=None, at_once=FLOOD_AT_ONCE):
    """Send packets to port 67, and to 4011 of `server` where one is named; count what comes back.

    Slowly enough that each is looked at, as what is lost before can do no harm; more `at_once` fill all buffers.
    """
    heard = 0
    with client_socket(interface, 68, at) as sending:
        for number, packet in enumerate(packets, 1):
            sending.sendto(packet, (BROADCAST, 67))
            if server:
                sending.sendto(packet, (server, 4011))
            if number % at_once == 0:
                time.sleep(FLOOD_PAUSE_S)
                heard += _drain(sending)
        time.sleep(SILENCE_S)
        return heard + _drain(sending)


def _drain(opened):
    heard = 0
    while True:
        try:
            opened.recv(4096, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return heard
        heard += 1
