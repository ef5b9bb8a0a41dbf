"""Receiving and sending datagrams, with the address of ours and the interface to which each was sent.

A host may have several addresses on an interface, and firmware drops an answer that comes from another one than it
has asked. A broadcast goes out of one interface, and has to be told which.
"""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass
from typing import Final

LONGEST_PACKET: Final = 2048
"""Bytes that are received of a packet: more than fits into an Ethernet frame. One that fills them may have been cut."""

_IP_PKTINFO: Final = 8  # ip(7); Python names it from 3.14 on
_PKTINFO: Final = struct.Struct("=I4s4s")
_ANY: Final = bytes(4)
# How a socket of IPv6 writes an IPv4 address.
_MAPPED: Final = "::ffff:"

BROADCAST: Final = "255.255.255.255"


@dataclass(frozen=True, slots=True)
class Datagram:
    """What came.

    source: the sender's address and port.
    interface: the number of the interface by which it came.
    local: our address that it was sent to, packed.
    """

    packet: bytes
    source: tuple[str, int]
    interface: int
    local: bytes


def tell_local_address(opened: socket.socket) -> None:
    """Let the kernel tell with each datagram to which address and interface it came."""
    opened.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)


def receive(opened: socket.socket) -> Datagram | None:
    """The next datagram; None where none waits. Raises OSError."""
    try:
        packet, extra, _, source = opened.recvmsg(
            LONGEST_PACKET, socket.CMSG_SPACE(_PKTINFO.size), socket.MSG_DONTWAIT
        )
    except BlockingIOError:
        return None
    interface, local = 0, _ANY
    for level, kind, data in extra:
        if (level, kind) == (socket.IPPROTO_IP, _IP_PKTINFO) and len(data) == _PKTINFO.size:
            interface, local, _ = _PKTINFO.unpack(data)
    return Datagram(packet, (source[0].removeprefix(_MAPPED), source[1]), interface, local)


def answer_to(opened: socket.socket, asked: Datagram, packet: bytes, destination: tuple[str, int]) -> None:
    """Send from the address that was asked. Raises OSError, also where it would have to wait.

    What is sent to an address that does not answer ARP stands in the buffer for seconds: others must not wait for it.
    """
    send_from(opened, asked.local, packet, destination, asked.interface if destination[0] == BROADCAST else 0)


def send_from(
    opened: socket.socket, local: bytes, packet: bytes, destination: tuple[str, int], interface: int = 0
) -> None:
    """Send from one of our addresses, packed, and out of an interface where one is named. Raises OSError as above."""
    from_there = [(socket.IPPROTO_IP, _IP_PKTINFO, _PKTINFO.pack(interface, local, _ANY))]
    host = destination[0] if opened.family == socket.AF_INET else _MAPPED + destination[0]
    opened.sendmsg([packet], from_there, socket.MSG_DONTWAIT, (host, destination[1]))
