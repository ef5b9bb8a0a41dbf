"""Why the TFTP port cannot be had, in words."""

import errno
import socket

import pytest

from app.errors import StartError
from netboot.tftp.sockets import open_socket


@pytest.mark.parametrize("address", ["::1", "boot.example", "10.0.0", "10.0.0.256"])
def test_what_is_no_ipv4_address_is_refused(address):
    with pytest.raises(StartError, match=f"IPv4.*{address}"):
        open_socket(address, 69)


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.EADDRINUSE, ["69", "in use", "--disable-dhcp-proxy"]),
        (errno.EACCES, ["69", "CAP_NET_BIND_SERVICE"]),
        (errno.EADDRNOTAVAIL, ["10.0.0.1", "--dhcp-proxy-iface-or-ip"]),
        (errno.EIO, ["69", "Input/output"]),
    ],
)
def test_port_that_cannot_be_had_is_explained(monkeypatch, number, words):
    def refuse(_socket, _address):
        raise OSError(number, "Input/output error")

    monkeypatch.setattr(socket.socket, "bind", refuse)
    with pytest.raises(StartError) as refused:
        open_socket("10.0.0.1", 69)
    assert all(word in str(refused.value) for word in words)
