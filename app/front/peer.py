"""Who is behind the splice, and how they came: it stands in the name of the unix socket by which the splice connects.

A unix socket has no address to show, but its own end may be bound to an abstract name, and that is what the other
side sees: gunicorn in REMOTE_ADDR, gRPC in `context.peer()`. The socket's folder is closed to other users, so nobody
else can connect with a name of his own.
"""

from __future__ import annotations

import functools
import ipaddress
import itertools
import os
from typing import Final
from urllib.parse import unquote

_PREFIX: Final = "omni-metal/"
_GRPC_PREFIX: Final = "unix-abstract:"
_TLS: Final = ".tls"
# A client asks for several things within a few seconds, and each is looked at more than once.
_KEPT_ADDRESSES: Final = 1_024
_serial = itertools.count()


def name_for(address: str, *, tls: bool = False) -> bytes:
    """A new abstract name that holds the address of a client. No two are alike on this host."""
    way = _TLS if tls else ""
    return f"\0{_PREFIX}{os.getpid():x}.{next(_serial):x}{way}/{plain(address)}".encode()


def address_of(name: str | bytes) -> str | None:
    """The address in a name, as gunicorn or gRPC shows it; None where it holds none."""
    prefix, address = _parts(name)
    return address if prefix.startswith(_PREFIX) and _is_address(address) else None


def came_without_tls(name: str | bytes) -> bool:
    """Whether the client came over the port without TLS; false where that is not known."""
    return address_of(name) is not None and not _parts(name)[0].endswith(_TLS)


@functools.lru_cache(maxsize=_KEPT_ADDRESSES)
def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _parts(name: str | bytes) -> tuple[str, str]:
    """What stands before the address in a name, and the address."""
    text = name.decode(errors="replace") if isinstance(name, bytes) else name
    if text.startswith(_GRPC_PREFIX):
        text = unquote(text.removeprefix(_GRPC_PREFIX))
    prefix, _, address = text.removeprefix("\0").rpartition("/")
    return prefix, address


def plain(address: str) -> str:
    """An IPv4 address that an IPv6 socket shows as ::ffff:a.b.c.d, as itself; any other unchanged."""
    return address.removeprefix("::ffff:") if "." in address else address
