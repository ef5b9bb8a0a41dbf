"""The sockets of the DHCP proxy: UDP, on one interface, beside another DHCP server where that lets us.

A broadcast reaches all sockets of a port; anything else reaches one, and that has to be the DHCP server's: leases are
renewed with it, and relays send to it. Linux chooses the socket that fits best, among equals the last one. So ours of
port 67 fits worst: it is one of IPv6 that takes IPv4 too, is bound to no interface, and filters by it instead. 4011 is
ours alone, and is bound: of two that shared it the second would get all, and nobody be told.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import socket
import struct
from typing import Final

from app.errors import StartError
from app.ports import PortInUse
from netboot.datagrams import tell_local_address
from netboot.dhcp.ports import BROADCAST_PORT

# A burst of 500 machines that are switched on together waits here; the usual 208 KiB lose a tenth of it.
BUFFER_BYTES: Final = 1024 * 1024
# The longest name of an interface.
_NAME_BYTES: Final = 16
# A program for the kernel's packet filter: keep the whole of an IPv4 packet of one interface, and nothing else.
_INSTRUCTION: Final = struct.Struct("=HBBI")
_LOAD_WORD, _JUMP_IF_EQUAL, _RETURN = 0x20, 0x15, 0x06
_PROTOCOL: Final = 0xFFFF_F000
_NUMBER_OF_INTERFACE: Final = 0xFFFF_F000 + 8
_IPV4: Final = 0x0800
_WHOLE: Final = 0xFFFF_FFFF
_SO_ATTACH_FILTER: Final = 26
# Linux: the same as SO_RCVBUF beyond net.core.rmem_max, for whoever may.
_SO_RCVBUFFORCE: Final = 33


def open_socket(interface: str, port: int) -> socket.socket:
    """Bind a UDP port of one interface, on all its addresses and for broadcasts.

    Args:
        interface: its name.
        port: 67 or 4011.

    Raises:
        PortInUse: others have it, and do not share it.
        StartError: it cannot be had for another reason; the text says why and, behind a semicolon, what to do.
    """
    opened = _yielding() if port == BROADCAST_PORT else socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        _bind(opened, interface, port)
    except OSError as error:
        opened.close()
        kind = PortInUse if error.errno == errno.EADDRINUSE else StartError
        raise kind(_words(error, interface, port)) from None
    return opened


def is_interface_gone(opened: socket.socket) -> bool:
    """Whether the interface that a socket is bound to was taken away: nothing comes any more, not even an error."""
    try:
        opened.getsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, _NAME_BYTES)
    except OSError as error:
        return error.errno == errno.ENODEV
    return False


def _yielding() -> socket.socket:
    """A socket to which Linux prefers any other one of IPv4; an ordinary one where there is no IPv6."""
    try:
        opened = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    except OSError:
        return socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    return opened


def _bind(opened: socket.socket, interface: str, port: int) -> None:
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    if port == BROADCAST_PORT:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        _filter(opened, socket.if_nametoindex(interface))
    else:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode() + b"\0")
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
    with contextlib.suppress(PermissionError):
        opened.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, BUFFER_BYTES)
    tell_local_address(opened)
    opened.bind(("", port))


def _filter(opened: socket.socket, interface: int) -> None:
    """Take nothing but IPv4, by the interface of this number."""
    instructions = (
        (_LOAD_WORD, 0, 0, _PROTOCOL),
        (_JUMP_IF_EQUAL, 0, 3, _IPV4),
        (_LOAD_WORD, 0, 0, _NUMBER_OF_INTERFACE),
        (_JUMP_IF_EQUAL, 0, 1, interface),
        (_RETURN, 0, 0, _WHOLE),
        (_RETURN, 0, 0, 0),
    )
    program = ctypes.create_string_buffer(b"".join(_INSTRUCTION.pack(*one) for one in instructions))
    described = struct.pack("HP", len(instructions), ctypes.addressof(program))
    opened.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, described)


def _words(error: OSError, interface: str, port: int) -> str:
    where = f"UDP port {port} on {interface}"
    match error.errno:
        case errno.EADDRINUSE if port == BROADCAST_PORT:
            return (
                f"{where} is in use by another DHCP server; where that is dnsmasq, start it with --bind-interfaces and "
                "both get each broadcast; else set --disable-dhcp-proxy-broadcast, and let that server send option 60 "
                '"PXEClient"'
            )
        case errno.EADDRINUSE:
            return f"{where} is in use by another DHCP proxy; end that one, or set --disable-dhcp-proxy"
        case errno.EACCES | errno.EPERM:
            return (
                f"{where} may not be used by this user ({error.strerror}); start as root, or with the capability "
                "CAP_NET_BIND_SERVICE (Linux before 5.7: CAP_NET_RAW too), or set --disable-dhcp-proxy"
            )
        case errno.ENODEV | errno.ENXIO | None:  # Python gives no number for a name that is not there
            return f"{where}: there is no interface of this name (any more); name one with --dhcp-proxy-iface-or-ip"
        case _:
            return f"{where} cannot be used ({error.strerror}); name another with --dhcp-proxy-iface-or-ip"
