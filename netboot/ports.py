"""Opens the ports of DHCP proxy and TFTP: all of them or none."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final

from app.errors import StartError
from app.ports import udp_holder_of
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
        dhcp = {
            port: opened.enter_context(_open(port, partial(dhcp_sockets.open_socket, place.interface, port)))
            for port in dhcp_ports(settings)
        }
        tftp = _open(TFTP_PORT, partial(tftp_sockets.open_socket, place.tftp_address, TFTP_PORT))
        yield Ports(dhcp, opened.enter_context(tftp))


def _open(port: int, opening: Callable[[], socket.socket]) -> socket.socket:
    """Open a port, or say who has it, where the system tells."""
    try:
        return opening()
    except StartError as error:
        holder = udp_holder_of(port)
        by_whom = f" (UDP port {port} is held by {holder.words})" if holder else ""
        raise StartError(f"{error}{by_whom}") from None
