"""Ports for tests, on which nothing listens yet and which nobody else is given.

The system gives out ports by itself from 32768 on, to whoever connects; and tests run side by side. So each of their
processes takes its own part of what is below.
"""

import os
import random
import socket

FIRST, LAST = 11_000, 32_000
PARTS = 11

_part = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % PARTS
_size = (LAST - FIRST) // PARTS
_left = list(range(FIRST + _part * _size, FIRST + (_part + 1) * _size))
random.shuffle(_left)


def free_port():
    """A port of the loopback that was not given before."""
    while True:
        port = _left.pop()
        _left.insert(0, port)  # given again once all others were
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
