"""Splices connections of the public port to the process that answers them, by their first bytes.

It works on bare sockets and the loop's readers, not on asyncio's transports: firmware opens a connection for every
file, and a storm of boots is thousands of short ones a second. No byte is changed, in either direction; a side that
takes no more stops the other side from being read.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog

from app.front.peer import name_for
from app.front.way import Way

log = structlog.get_logger()

# What HTTP/2 with prior knowledge begins with, and no HTTP/1 request does.
PREFACE: Final = b"PRI"
# A client sends at once what it has connected for; ten seconds leave room for a lossy link, and end idle probes.
FIRST_BYTES_LIMIT_S: Final = 10.0
# How long a client may take to close after its answer is complete, before we do.
LINGER_S: Final = 5.0
# The backend's queue of connections is full for moments only; two seconds of trying outlast a storm of boots.
BUSY_PAUSE_S: Final = 0.01
BUSY_TRIES: Final = 200
# A thousand agents that dial again each second are worth one line in a while.
COMPLAIN_EVERY_S: Final = 5.0
# Large enough to copy a boot image without a call for every few packets.
BUFFER_BYTES: Final = 256 * 1024
# A request of firmware fits in many times over.
FIRST_READ_BYTES: Final = 16 * 1024

# Closed at once, with what is not sent: a client that takes nothing would keep it in the kernel.
_AT_ONCE: Final = struct.pack("ii", 1, 0)

_STARTING: Final = b"the provider is starting; try again\n"
_UNAVAILABLE: Final = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain\r\nRetry-After: 1\r\nConnection: close\r\n"
    b"Content-Length: %d\r\n\r\n%b" % (len(_STARTING), _STARTING)
)


@dataclass(frozen=True, slots=True)
class Backends:
    """The unix sockets behind the public port."""

    web: Path
    gateway: Path


class Splicer:
    """All connections of one listening process. Belongs to the loop in which it is made."""

    def __init__(self, backends: Backends) -> None:
        self.loop = asyncio.get_running_loop()
        self.web = str(backends.web)
        self.gateway = str(backends.gateway)
        self.connections: set[Connection] = set()
        self.buffer = memoryview(bytearray(BUFFER_BYTES))
        self._turned_away: Counter[str] = Counter()
        self._silent_until_s = 0.0

    def take(self, client: socket.socket, address: str) -> None:
        """Splice a new connection of a client."""
        client.setblocking(False)  # noqa: FBT003 - the socket's own way
        Connection(self, client, address).begin()

    def take_from_tls(self, client: socket.socket, address: str) -> None:
        """Splice a client with whom the handshake is done (app/front/tls_socket.py): it speaks gRPC, or is closed."""
        Connection(self, client, address, tls=True).begin()

    def turned_away(self, backend: str, reason: str) -> None:
        """Note a client for whom nobody was there."""
        self._turned_away[backend] += 1
        if self.loop.time() >= self._silent_until_s:
            self._silent_until_s = self.loop.time() + COMPLAIN_EVERY_S
            log.warning("backend_not_there", reason=reason, turned_away=dict(self._turned_away))
            self._turned_away.clear()

    def close(self) -> None:
        """Close every connection."""
        for connection in list(self.connections):
            connection.close()


class Connection:
    """One client, and from its first bytes on one backend."""

    __slots__ = (
        "_address",
        "_backend",
        "_client",
        "_down",
        "_ended",
        "_first",
        "_splicer",
        "_timer",
        "_tls",
        "_tries",
        "_up",
    )

    def __init__(self, splicer: Splicer, client: socket.socket, address: str, *, tls: bool = False) -> None:
        self._splicer = splicer
        self._client = client
        self._address = address
        self._tls = tls
        self._backend: socket.socket | None = None
        self._up: Way | None = None
        self._down: Way | None = None
        self._first = b""
        self._timer: asyncio.TimerHandle | None = None
        self._tries = 0
        self._ended = 0

    def begin(self) -> None:
        """Look for the first bytes, which are mostly here already."""
        self._splicer.connections.add(self)
        self._look()
        if self._backend is None and self._tries == 0 and self in self._splicer.connections:
            loop = self._splicer.loop
            self._timer = loop.call_later(FIRST_BYTES_LIMIT_S, self.close)
            loop.add_reader(self._client.fileno(), self._look)

    def close(self) -> None:
        """Close both sides."""
        self._splicer.connections.discard(self)
        self._cancel_timer()
        for way in (self._up, self._down):
            if way is not None:
                way.stop()
        for side in (self._client, self._backend):
            if side is not None and side.fileno() >= 0:
                self._splicer.loop.remove_reader(side.fileno())
                self._splicer.loop.remove_writer(side.fileno())
                side.close()

    def stalled(self) -> None:
        """One side takes nothing: the other side must not wait for it with all that it holds."""
        self._client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
        self.close()

    def source_ended(self, sink: socket.socket) -> None:
        """One side will send nothing more."""
        self._ended += 1
        if self._ended == 2:
            self.close()
            return
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)
        if sink is self._client:
            self._timer = self._splicer.loop.call_later(LINGER_S, self.close)

    def sink_lost(self, sink: socket.socket) -> None:
        """One side takes nothing more. A backend that has closed early has mostly answered before."""
        if sink is self._client or self._ended:
            self.close()
            return
        self._ended += 1
        if self._up is not None:
            self._up.stop()
        self._splicer.loop.remove_reader(self._client.fileno())
        self._splicer.loop.remove_writer(sink.fileno())

    def _look(self) -> None:
        """Read what is there, and go on once it tells HTTP from gRPC."""
        try:
            data = self._client.recv(FIRST_READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.close()
            return
        self._first += data
        if len(self._first) >= len(PREFACE) or not PREFACE.startswith(self._first):
            self._splicer.loop.remove_reader(self._client.fileno())
            self._cancel_timer()
            self._connect()

    def _connect(self) -> None:
        is_grpc = self._first.startswith(PREFACE)
        if self._tls and not is_grpc:
            self.close()
            return
        self._tries += 1
        backend = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            backend.setblocking(False)  # noqa: FBT003 - the socket's own way
            if sys.platform == "linux":
                backend.bind(name_for(self._address, tls=self._tls))
            backend.connect(self._splicer.gateway if is_grpc else self._splicer.web)
        except BlockingIOError:  # its queue is full
            backend.close()
            if self._tries < BUSY_TRIES:
                self._timer = self._splicer.loop.call_later(BUSY_PAUSE_S, self._connect)
            else:
                self._refuse(is_grpc, "its queue of connections is full")
        except OSError as error:
            backend.close()
            self._refuse(is_grpc, error.strerror or str(error))
        else:
            self._backend = backend
            self._splice(backend)

    def _splice(self, backend: socket.socket) -> None:
        self._up = up = Way(self, self._client, backend, self._splicer.buffer)
        self._down = Way(self, backend, self._client, self._splicer.buffer)
        self._down.resume()
        first, self._first = self._first, b""
        if up.send(memoryview(first)):
            up.resume()

    def _refuse(self, is_grpc: bool, reason: str) -> None:  # noqa: FBT001 - two kinds are all there are
        self._splicer.turned_away("gateway" if is_grpc else "web", reason)
        if is_grpc:  # the agent dials again
            self.close()
            return
        with contextlib.suppress(OSError):
            self._client.send(_UNAVAILABLE)
            self._client.shutdown(socket.SHUT_WR)
        self._timer = self._splicer.loop.call_later(LINGER_S, self.close)
        self._splicer.loop.add_reader(self._client.fileno(), self._drain)

    def _drain(self) -> None:
        try:
            left = self._client.recv_into(self._splicer.buffer)
        except BlockingIOError:
            return
        except OSError:
            left = 0
        if not left:
            self.close()

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
