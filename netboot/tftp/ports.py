"""From where a child sends: a port of its own for each transfer, or the one port for all.

Both have what fbtftp calls of a socket: `sendto` and `close`.
"""

from __future__ import annotations

import socket
import struct
from typing import Final, Protocol

from netboot.tftp.sockets import Client, Peer, send

# No ACK or ERROR that is of use is longer.
LONGEST_ANSWER: Final = 512
# How long a packet is waited for, after which its receiver looks at the time: the shortest timeout of a transfer.
RECEIVE_S: Final = 1
# struct timeval. A limit that the kernel keeps saves a poll for each packet.
_TIMEVAL: Final = struct.Struct("@ll")


class Port(Protocol):
    """One client's end of the conversation is at the other side."""

    def receive(self) -> bytes | None:
        """The client's next packet; None after RECEIVE_S without. Raises OSError: the client has closed its port."""

    def sendto(self, packet: bytes, peer: Peer) -> None:
        """Send to the client, which is the peer. Raises OSError."""

    def close(self) -> None:
        """Give the port back."""


class OwnPort:
    """A port that the system gave, as RFC 1350 has it."""

    def __init__(self, client: Client) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((client.local, 0))
        # From here on the kernel drops what others send, and tells us when the client's port is closed.
        self._socket.connect(client.peer)
        _limit(self._socket)

    def receive(self) -> bytes | None:
        """As of every port."""
        return _receive(self._socket)

    def sendto(self, packet: bytes, peer: Peer) -> None:  # noqa: ARG002 - it is the one that it is connected to
        """As of every port."""
        self._socket.send(packet)

    def close(self) -> None:
        """As of every port."""
        self._socket.close()


class SharedPort:
    """The listener's own port. What the client sends comes by way of the listener's process, which sees it all."""

    def __init__(self, client: Client, listener: socket.socket, inbox: socket.socket) -> None:
        self._listener = listener
        self._inbox = inbox
        self._client = client
        _limit(inbox)

    def receive(self) -> bytes | None:
        """As of every port."""
        return _receive(self._inbox)

    def sendto(self, packet: bytes, peer: Peer) -> None:  # noqa: ARG002 - it is the one client that there is
        """As of every port."""
        send(self._listener, packet, self._client)

    def close(self) -> None:
        """As of every port."""
        self._inbox.close()
        self._listener.close()


def _limit(waiting: socket.socket) -> None:
    waiting.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _TIMEVAL.pack(RECEIVE_S, 0))


def _receive(waiting: socket.socket) -> bytes | None:
    try:
        return waiting.recv(LONGEST_ANSWER)
    except BlockingIOError:
        return None
