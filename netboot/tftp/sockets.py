"""The TFTP port, and who asked there by which of our addresses."""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import socket
from dataclasses import dataclass
from typing import Final

from app.errors import StartError
from app.ports import PortInUse
from netboot import datagrams

Peer = tuple[str, int]

# A rack of a thousand machines that asks in one second waits here. The kernel gives what net.core.rmem_max allows.
RECEIVE_BUFFER: Final = 1_048_576


@dataclass(frozen=True, slots=True)
class Client:
    """peer: its address and port. local: our address that it asked."""

    peer: Peer
    local: str


def open_socket(address: str, port: int) -> socket.socket:
    """Open the port; the socket does not block. Ports below 1024 need rights for this alone, for nothing after it.

    Args:
        address: an IPv4 address of this host; empty for all of them.
        port: 69, where firmware asks.

    Raises:
        PortInUse: another program has it.
        StartError: it cannot be had for another reason; the text says why and, behind a semicolon, what to do.
    """
    if address and not _is_ipv4(address):
        raise StartError(f"TFTP needs an IPv4 address of this host, and {address!r} is none")
    opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        datagrams.tell_local_address(opened)
        opened.setblocking(False)  # noqa: FBT003 - the socket's own way
        opened.bind((address, port))
    except OSError as error:
        opened.close()
        kind = PortInUse if error.errno == errno.EADDRINUSE else StartError
        raise kind(_words(error, address, port)) from None
    return opened


def receive(listener: socket.socket) -> tuple[bytes, Client] | None:
    """Take one datagram; None where none waits. Raises OSError: the network has something to say."""
    came = datagrams.receive(listener)
    return (came.packet, Client(came.source, socket.inet_ntoa(came.local))) if came else None


def send(listener: socket.socket, packet: bytes, client: Client) -> None:
    """Send from the port, and from the address that the client asked: it may take nothing from another. Raises OSError.

    A packet for which there is no room is dropped, as the network may drop it.
    """
    with contextlib.suppress(BlockingIOError):
        datagrams.send_from(listener, socket.inet_aton(client.local), packet, client.peer)


def _is_ipv4(address: str) -> bool:
    try:
        ipaddress.IPv4Address(address)
    except ValueError:
        return False
    return True


def _words(error: OSError, address: str, port: int) -> str:
    match error.errno:
        case errno.EADDRINUSE:
            return (
                f"UDP port {port} (TFTP) is in use; end the other TFTP server (dnsmasq: take out enable-tftp), or set "
                "--disable-dhcp-proxy"
            )
        case errno.EACCES | errno.EPERM:
            return (
                f"UDP port {port} (TFTP) may not be used by this user; start as root or with CAP_NET_BIND_SERVICE, or "
                "set --disable-dhcp-proxy"
            )
        case errno.EADDRNOTAVAIL:
            return f"TFTP: {address} is not an address of this host; name one that is in --dhcp-proxy-iface-or-ip"
        case _:
            return f"UDP port {port} (TFTP) cannot be used ({error.strerror})"
