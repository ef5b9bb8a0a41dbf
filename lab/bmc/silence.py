"""Addresses at which nobody answers, as at those of BMCs without power, though the system knows them."""

from __future__ import annotations

import contextlib
import socket


def udp(host: str, port: int) -> socket.socket:
    """A port whose datagrams nobody reads."""
    return _bound(socket.socket(socket.AF_INET, socket.SOCK_DGRAM), host, port)


class SilentTcp:
    """A port at which no connection comes about: its queue is full, so Linux drops what asks for one."""

    def __init__(self, host: str, port: int) -> None:
        self._sockets = [_bound(socket.socket(), host, port)]
        self._sockets[0].listen(0)
        try:
            self._fill()
        except BaseException:
            self.close()
            raise

    def _fill(self) -> None:
        """A queue of length 0 holds one connection."""
        filler = socket.socket()
        self._sockets.append(filler)
        filler.settimeout(0)
        with contextlib.suppress(BlockingIOError):
            filler.connect(self._sockets[0].getsockname())

    def close(self) -> None:
        """Give the port back."""
        for one in self._sockets:
            one.close()


def _bound(fresh: socket.socket, host: str, port: int) -> socket.socket:
    try:
        if fresh.type is socket.SOCK_STREAM:
            fresh.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        fresh.bind((host, port))
    except OSError:
        fresh.close()
        raise
    return fresh
