"""One direction of a spliced connection: bytes from one socket to the other, no faster than that one takes them."""

from __future__ import annotations

import asyncio
import socket
from typing import Final, Protocol

# What one side has sent, 256 KiB at most, is taken by the other within this, or never: by then gunicorn has given up on
# its client, gRPC has missed several answers to its pings, and TCP has sent a lost packet again seven times. Somebody
# who takes a byte now and then is not waited for either.
STALL_LIMIT_S: Final = 60.0


class Ends(Protocol):
    """The connection that a way belongs to."""

    def source_ended(self, sink: socket.socket) -> None:
        """The side that is read will send nothing more; `sink` is the other one."""

    def sink_lost(self, sink: socket.socket) -> None:
        """`sink` takes nothing more."""

    def stalled(self) -> None:
        """A side has not taken what is waiting for it."""

    def close(self) -> None:
        """Both sides are over."""


class Way:
    """The bytes from one side to the other."""

    __slots__ = ("_buffer", "_connection", "_left", "_limit", "_loop", "_sink", "_source")

    def __init__(self, connection: Ends, source: socket.socket, sink: socket.socket, buffer: memoryview) -> None:
        """Make a way; nothing is read before `resume`.

        Args:
            connection: is told how the way ends.
            source: where bytes come from.
            sink: where they go.
            buffer: room to read into, shared by all ways: what it holds is sent or copied at once.
        """
        self._connection = connection
        self._loop = asyncio.get_running_loop()
        self._buffer = buffer
        self._source = source
        self._sink = sink
        self._left = memoryview(b"")
        self._limit: asyncio.TimerHandle | None = None

    def stop(self) -> None:
        """Wait for nothing any more."""
        if self._limit is not None:
            self._limit.cancel()
            self._limit = None

    def resume(self) -> None:
        """Go on reading."""
        self._loop.add_reader(self._source.fileno(), self._readable)

    def send(self, data: memoryview) -> bool:
        """Send; false if that is not through yet, or the sink is lost."""
        try:
            sent = self._sink.send(data)
        except BlockingIOError:
            sent = 0
        except OSError:
            self._connection.sink_lost(self._sink)
            return False
        if sent == len(data):
            return True
        self._left = memoryview(bytes(data[sent:]))
        self._loop.add_writer(self._sink.fileno(), self._writable)
        self._limit = self._loop.call_later(STALL_LIMIT_S, self._connection.stalled)
        return False

    def _readable(self) -> None:
        try:
            count = self._source.recv_into(self._buffer)
        except BlockingIOError:
            return
        except OSError:
            self._connection.close()
            return
        if count == 0:
            self._loop.remove_reader(self._source.fileno())
            self._connection.source_ended(self._sink)
        elif not self.send(self._buffer[:count]) and self._source.fileno() >= 0:
            self._loop.remove_reader(self._source.fileno())

    def _writable(self) -> None:
        try:
            self._left = self._left[self._sink.send(self._left) :]
        except BlockingIOError:
            return
        except OSError:
            self._connection.sink_lost(self._sink)
            return
        if not self._left:
            self._loop.remove_writer(self._sink.fileno())
            self.stop()
            self.resume()
