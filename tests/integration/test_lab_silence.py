"""Addresses at which nobody answers, for those who ask there."""

import socket

import pytest

from lab.bmc import silence
from tests.free_ports import free_port

pytestmark = pytest.mark.integration


def test_connection_to_a_silent_port_comes_about_never_and_is_not_refused():
    port = free_port()
    silent = silence.SilentTcp("127.0.0.1", port)
    try:
        for _ in range(2):
            with pytest.raises(TimeoutError):
                socket.create_connection(("127.0.0.1", port), 0.3)
    finally:
        silent.close()

    with socket.create_server(("127.0.0.1", port)):
        pass


def test_datagram_to_a_silent_port_is_neither_answered_nor_refused():
    silent = silence.udp("127.0.0.1", 0)
    with silent, socket.socket(type=socket.SOCK_DGRAM) as asking:
        asking.settimeout(0.2)
        asking.connect(silent.getsockname())
        for _ in range(2):
            asking.send(b"anybody?")
            with pytest.raises(TimeoutError):
                asking.recv(100)


@pytest.mark.parametrize("silent", [silence.udp, silence.SilentTcp])
def test_port_that_is_taken_is_an_error(silent):
    held = silence.udp("127.0.0.1", 0) if silent is silence.udp else socket.create_server(("127.0.0.1", 0))
    with held, pytest.raises(OSError, match="in use"):
        silent(*held.getsockname())
