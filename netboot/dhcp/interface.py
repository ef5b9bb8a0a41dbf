"""Which interface of this host an operator means, by its name or by an address on it.

Asked of the kernel by netlink: it tells each address with its interface, also second ones, in this network namespace.
"""

from __future__ import annotations

import ipaddress
import socket
import struct
from collections.abc import Iterator
from typing import Final

from app.errors import StartError

_OPTION: Final = "--dhcp-proxy-iface-or-ip"

# The words of rtnetlink, as its manual page has them.
_ROUTE: Final = 0
_GET_ADDRESSES: Final = 22
_DONE: Final = 3
_ERROR: Final = 2
_REQUEST_DUMP: Final = 0x301
_LOCAL: Final = 2
_HEADER: Final = struct.Struct("=IHHII")
_ADDRESS: Final = struct.Struct("=BBBBI")
_ATTRIBUTE: Final = struct.Struct("=HH")
# The kernel answers in pieces of at most this.
_PIECE_BYTES: Final = 65_536

Addresses = dict[str, list[str]]
"""The IPv4 addresses of each interface, by its name."""


def interface_for(iface_or_ip: str) -> str:
    """The name of an interface.

    Args:
        iface_or_ip: its name, or an IPv4 address on it, or a host name of such an address.

    Raises:
        StartError: there is none; the text names those that there are.
    """
    interfaces = interface_addresses()
    if iface_or_ip in interfaces:
        return iface_or_ip
    wanted = _address_of(iface_or_ip)
    for name, addresses in interfaces.items():
        if wanted in addresses:
            return name
    raise StartError(
        f"{_OPTION}: {iface_or_ip} is neither an interface of this host nor an IPv4 address on one; there are "
        f"{in_words(interfaces)}; name the one that is in the network of the machines"
    )


def in_words(interfaces: Addresses) -> str:
    """All of them, each with its addresses."""
    return ", ".join(f"{name} ({' '.join(of_it) or 'no IPv4 address'})" for name, of_it in interfaces.items())


def interface_addresses() -> Addresses:
    """All interfaces, also those without an address."""
    names = dict(socket.if_nameindex())
    found: Addresses = {name: [] for name in names.values()}
    for index, address in _each_address():
        if index in names:
            found[names[index]].append(address)
    return found


def _address_of(text: str) -> str:
    """The address that a text or a host name means; the text itself where it means none."""
    try:
        return str(ipaddress.IPv4Address(text))
    except ValueError:
        pass
    try:
        return str(socket.getaddrinfo(text, None, socket.AF_INET, socket.SOCK_DGRAM)[0][4][0])
    except (OSError, UnicodeError):
        return text


def _each_address() -> Iterator[tuple[int, str]]:
    """The number of an interface and an IPv4 address on it, for each address."""
    body = _ADDRESS.pack(socket.AF_INET, 0, 0, 0, 0)
    question = _HEADER.pack(_HEADER.size + len(body), _GET_ADDRESSES, _REQUEST_DUMP, 1, 0) + body
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _ROUTE) as kernel:
        kernel.sendto(question, (0, 0))
        while True:
            piece = kernel.recv(_PIECE_BYTES)
            at = 0
            while at < len(piece):
                length, kind, *_ = _HEADER.unpack_from(piece, at)
                if kind in (_DONE, _ERROR):
                    return
                yield from _local_address(piece[at + _HEADER.size : at + length])
                at += _aligned(length)


def _local_address(message: bytes) -> Iterator[tuple[int, str]]:
    *_, index = _ADDRESS.unpack_from(message)
    at = _ADDRESS.size
    while at < len(message):
        length, kind = _ATTRIBUTE.unpack_from(message, at)
        if kind == _LOCAL:
            yield index, socket.inet_ntoa(message[at + _ATTRIBUTE.size : at + length])
        at += _aligned(length)


def _aligned(length: int) -> int:
    return (length + 3) & ~3
