"""What is said where a port cannot be had."""

import errno
import os
import re
import socket

import pytest

from app.errors import StartError
from app.ports import PortInUse
from netboot.dhcp import sockets


class Refusing:
    """A socket that cannot be bound; it takes all options but the one that is named."""

    def __init__(self, number, at=None):
        self.number, self.at, self.closed, self.options = number, at, False, {}

    def __call__(self, *_):
        return self

    def setsockopt(self, level, name, value):
        if name == self.at:
            raise OSError(self.number, os.strerror(self.number))
        self.options[level, name] = value

    def bind(self, _address):
        if self.at is None:
            raise OSError(self.number, os.strerror(self.number))

    def close(self):
        self.closed = True


@pytest.fixture(autouse=True)
def _interfaces(monkeypatch):
    monkeypatch.setattr(socket, "if_nametoindex", {"eth0": 2}.__getitem__)


def refusal(monkeypatch, number, port=67, at=None):
    opened = Refusing(number, at)
    monkeypatch.setattr(socket, "socket", opened)
    with pytest.raises(StartError) as caught:
        sockets.open_socket("eth0", port)
    assert opened.closed
    return str(caught.value)


def test_port_67_in_use_names_both_ways_out(monkeypatch):
    words = refusal(monkeypatch, errno.EADDRINUSE)
    assert words.startswith("UDP port 67 on eth0 is in use")
    assert "--bind-interfaces" in words
    assert "--disable-dhcp-proxy-broadcast" in words


@pytest.mark.parametrize("port", [67, 4011])
def test_port_in_use_is_an_error_of_its_own_with_the_remedy_behind_a_semicolon(monkeypatch, port):
    monkeypatch.setattr(socket, "socket", Refusing(errno.EADDRINUSE))
    with pytest.raises(PortInUse, match=rf"^UDP port {port} on eth0 is in use by another DHCP [^;]*; .*--dis"):
        sockets.open_socket("eth0", port)


def test_port_4011_in_use_blames_no_dhcp_server(monkeypatch):
    words = refusal(monkeypatch, errno.EADDRINUSE, 4011)
    assert "another DHCP proxy" in words
    assert "--disable-dhcp-proxy-broadcast" not in words


@pytest.mark.parametrize(("port", "at"), [(67, None), (4011, None), (4011, socket.SO_BINDTODEVICE)])
@pytest.mark.parametrize("number", [errno.EACCES, errno.EPERM])
def test_missing_right_is_named(monkeypatch, number, port, at):
    words = refusal(monkeypatch, number, port, at)
    assert "CAP_NET_BIND_SERVICE" in words
    assert "CAP_NET_RAW" in words


@pytest.mark.parametrize("number", [errno.ENODEV, errno.EIO])
def test_other_trouble_names_the_option(monkeypatch, number):
    words = refusal(monkeypatch, number, 4011, socket.SO_BINDTODEVICE)
    assert re.search("name (one|another) with --dhcp-proxy-iface-or-ip", words)


def test_interface_that_is_gone_since_is_told(monkeypatch):
    def gone(_name):
        raise OSError("no interface with this name")

    monkeypatch.setattr(socket, "if_nametoindex", gone)
    assert "no interface of this name" in refusal(monkeypatch, errno.EIO)


def test_socket_gets_all_that_a_proxy_beside_a_dhcp_server_needs(monkeypatch):
    opened = Refusing(errno.EPERM, at=33)  # the larger buffer, which not everybody may have
    monkeypatch.setattr(socket, "socket", opened)
    assert sockets.open_socket("eth0", 67) is opened
    assert (socket.SOL_SOCKET, socket.SO_BINDTODEVICE) not in opened.options
    assert opened.options[socket.SOL_SOCKET, socket.SO_RCVBUF] == 1024 * 1024
    assert opened.options[socket.SOL_SOCKET, socket.SO_REUSEADDR] == 1
    assert (socket.SOL_SOCKET, socket.SO_BROADCAST) in opened.options
    assert not opened.closed


def test_host_without_ipv6_gets_an_ordinary_socket(monkeypatch):
    def made(family, _kind):
        if family == socket.AF_INET6:
            raise OSError(errno.EAFNOSUPPORT, os.strerror(errno.EAFNOSUPPORT))
        return Refusing(errno.EPERM, at=33)

    monkeypatch.setattr(socket, "socket", made)
    options = sockets.open_socket("eth0", 67).options
    assert (socket.IPPROTO_IPV6, socket.IPV6_V6ONLY) not in options
    assert (socket.SOL_SOCKET, sockets._SO_ATTACH_FILTER) in options


def test_port_4011_is_shared_with_nobody(monkeypatch):
    """Linux gives each packet to one of those that share a port, the last one."""
    opened = Refusing(errno.EPERM, at=33)
    monkeypatch.setattr(socket, "socket", opened)
    assert not sockets.open_socket("eth0", 4011).options.get((socket.SOL_SOCKET, socket.SO_REUSEADDR))
