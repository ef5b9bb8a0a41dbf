"""The public port's listening sockets: all addresses or one, IPv4 and IPv6."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Callable
from typing import Final

import structlog

log = structlog.get_logger()

# A rack of a thousand machines that boots in one second waits here, not at its own timeout.
BACKLOG: Final = 4096
# Connections taken in one go before the open ones get their turn.
ACCEPT_AT_ONCE: Final = 64
# Out of files or memory: connections that end meanwhile free some.
EXHAUSTED_PAUSE_S: Final = 0.5
EXHAUSTED: Final = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
# A client that is gone without a word (power cut) is noticed after a minute and three unanswered probes.
KEEPALIVE_IDLE_S: Final = 60
KEEPALIVE_PROBES: Final = 3
KEEPALIVE_EVERY_S: Final = 10

Take = Callable[[socket.socket, str], None]


def open_listeners(host: str, port: int) -> list[socket.socket]:
    """Listen on `host` (empty: on every address). Raises OSError."""
    listeners: list[socket.socket] = []
    try:
        for family, address in _addresses(host, port):
            try:
                listeners.append(_listener(family, address))
            except OSError as error:
                if host or family != socket.AF_INET6 or error.errno == errno.EADDRINUSE:
                    raise
                log.info("no_ipv6_here", reason=error.strerror)
    except OSError:
        for listener in listeners:
            listener.close()
        raise
    return listeners


def _addresses(host: str, port: int) -> list[tuple[int, tuple[str, int]]]:
    if not host:
        return [(socket.AF_INET, ("", port)), (socket.AF_INET6, ("", port))]
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    return [(family, (str(address[0]), port)) for family, _, _, _, address in found]


def _listener(family: int, address: tuple[str, int]) -> socket.socket:
    """A listening socket whose options its connections inherit."""
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if hasattr(socket, "TCP_KEEPIDLE"):
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, KEEPALIVE_IDLE_S)
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, KEEPALIVE_EVERY_S)
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, KEEPALIVE_PROBES)
        listener.bind(address)
        listener.listen(BACKLOG)
        listener.setblocking(False)  # noqa: FBT003 - the socket's own way
    except OSError:
        listener.close()
        raise
    return listener


class Acceptor:
    """Takes connections from one listening socket. Belongs to the loop in which it is made."""

    def __init__(self, listener: socket.socket, take: Take) -> None:
        self._loop = asyncio.get_running_loop()
        self._listener = listener
        self._take = take
        self._resume()

    def close(self) -> None:
        """Take no more."""
        if self._listener.fileno() >= 0:
            self._loop.remove_reader(self._listener.fileno())
            self._listener.close()

    def _resume(self) -> None:
        if self._listener.fileno() >= 0:
            self._loop.add_reader(self._listener.fileno(), self._accept)

    def _accept(self) -> None:
        for _ in range(ACCEPT_AT_ONCE):
            try:
                client, address = self._listener.accept()
            except (BlockingIOError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno not in EXHAUSTED:
                    raise
                log.warning("cannot_accept", reason=error.strerror, pause_s=EXHAUSTED_PAUSE_S)
                self._loop.remove_reader(self._listener.fileno())
                self._loop.call_later(EXHAUSTED_PAUSE_S, self._resume)
                return
            self._take(client, str(address[0]))
