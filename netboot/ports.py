"""Opens the ports of DHCP proxy and TFTP: all of them or none."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from app.ports import PortInUse, udp_holders_of
from config.settings import Settings
from netboot.dhcp import sockets as dhcp_sockets
from netboot.dhcp.ports import BROADCAST_PORT, PROXY_PORT
from netboot.place import Place
from netboot.tftp import sockets as tftp_sockets

TFTP_PORT: Final = 69


@dataclass(frozen=True, slots=True)
class Ports:
    """Sockets that are open. dhcp: by port."""

    dhcp: Mapping[int, socket.socket]
    tftp: socket.socket


def dhcp_ports(settings: Settings) -> tuple[int, ...]:
    """The ports on which DHCP is answered."""
    return (PROXY_PORT,) if settings.disable_dhcp_proxy_broadcast else (BROADCAST_PORT, PROXY_PORT)


@contextlib.contextmanager
def open_ports(settings: Settings, place: Place) -> Iterator[Ports]:
    """Open all ports, and close them at the end of the block.

    Raises:
        StartError: one cannot be had; the text says who is in the way, or which right is missing, and the remedy.
    """
    with contextlib.ExitStack() as opened:
        dhcp = {port: opened.enter_context(_open(place, port)) for port in dhcp_ports(settings)}
        yield Ports(dhcp, opened.enter_context(_open(place, TFTP_PORT)))


def try_port(place: Place, port: int) -> None:
    """Open one of our ports and close it again. Raises StartError."""
    _open(place, port).close()


def _open(place: Place, port: int) -> socket.socket:
    """Open a port, or say who has it, where the system tells."""
    try:
        if port == TFTP_PORT:
            return tftp_sockets.open_socket(place.tftp_address, port)
        return dhcp_sockets.open_socket(place.interface, port)
    except PortInUse as error:
        words, _, remedy = str(error).partition("; ")
        by_whom = "".join(f": {holder.words} has it" for holder in udp_holders_of(port)[:1])
        raise PortInUse(f"{words}{by_whom}; {remedy}") from None
