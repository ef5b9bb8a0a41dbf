"""Ports for a rack: the usual one where it is free, else any."""

from __future__ import annotations

import socket

HOST = "127.0.0.1"


def usual_or_free(usual: int) -> int:
    """The usual port if nobody listens there, else a free one."""
    return usual if _is_free(usual) else free_port()


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def _is_free(port: int) -> bool:
    """Whether both this host's loopback and all its addresses could be listened on."""
    for host in (HOST, ""):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
                probe.listen(1)
            except OSError:
                return False
    return True
