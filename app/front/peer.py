"""The client's address behind the splice: it is the name of the unix socket by which the splice connects.

A unix socket has no address to show, but its own end may be bound to an abstract name, and that is what the other
side sees: gunicorn in REMOTE_ADDR, gRPC in `context.peer()`. The socket's folder is closed to other users, so nobody
else can connect with a name of his own.
"""

from __future__ import annotations

import ipaddress
import itertools
import os
from typing import Final
from urllib.parse import unquote

_PREFIX: Final = "omni-metal/"
_GRPC_PREFIX: Final = "unix-abstract:"
_serial = itertools.count()


def name_for(address: str) -> bytes:
    """A new abstract name that holds the address of a client. No two are alike on this host."""
    return f"\0{_PREFIX}{os.getpid():x}.{next(_serial):x}/{plain(address)}".encode()


def address_of(name: str | bytes) -> str | None:
    """The address in a name, as gunicorn or gRPC shows it; None where it holds none."""
    text = name.decode(errors="replace") if isinstance(name, bytes) else name
    if text.startswith(_GRPC_PREFIX):
        text = unquote(text.removeprefix(_GRPC_PREFIX))
    prefix, slash, address = text.removeprefix("\0").rpartition("/")
    if not slash or not f"{prefix}/".startswith(_PREFIX):
        return None
    try:
        ipaddress.ip_address(address)
    except ValueError:
        return None
    return address


def plain(address: str) -> str:
    """An IPv4 address that an IPv6 socket shows as ::ffff:a.b.c.d, as itself; any other unchanged."""
    return address.removeprefix("::ffff:") if "." in address else address
