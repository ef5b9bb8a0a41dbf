"""Which interface is meant; the kernel's answers are made here, byte by byte."""

import socket
import struct

import pytest

from app.errors import StartError
from netboot.dhcp import interface

NAMES = [(1, "lo"), (2, "eth0"), (3, "eth1")]


def attribute(kind, value):
    packed = struct.pack("=HH", 4 + len(value), kind) + value
    return packed.ljust((len(packed) + 3) & ~3, b"\0")


def address(index, local, label):
    """One message of the kernel, as of a real one: the peer's address first, then ours, then the label."""
    body = struct.pack("=BBBBI", socket.AF_INET, 24, 0x80, 0, index)
    body += attribute(1, bytes(4)) + attribute(2, socket.inet_aton(local)) + attribute(3, label.encode() + b"\0")
    return struct.pack("=IHHII", 16 + len(body), 20, 2, 1, 77) + body


DONE = struct.pack("=IHHIII", 20, 3, 2, 1, 77, 0)


class Kernel:
    """A netlink socket."""

    def __init__(self, pieces):
        self._pieces = list(pieces)

    def __call__(self, family, *_):
        assert family == socket.AF_NETLINK
        return self

    def __enter__(self):
        return self

    def __exit__(self, *_):
        assert not self._pieces, "not all of the answer was read"

    def sendto(self, question, _to):
        assert struct.unpack_from("=IHH", question) == (24, 22, 0x301)

    def recv(self, _size):
        return self._pieces.pop(0)


@pytest.fixture(autouse=True)
def _kernel(monkeypatch):
    pieces = [
        address(1, "127.0.0.1", "lo") + address(2, "10.77.0.2", "eth0"),
        address(2, "10.77.0.3", "eth0:second") + address(9, "10.9.9.9", "just made"),
        DONE,
    ]
    monkeypatch.setattr(socket, "socket", Kernel(pieces))
    monkeypatch.setattr(socket, "if_nameindex", lambda: NAMES)


def test_interface_is_found_by_its_name():
    assert interface.interface_for("eth1") == "eth1"


@pytest.mark.parametrize(("text", "name"), [("127.0.0.1", "lo"), ("10.77.0.2", "eth0"), ("10.77.0.3", "eth0")])
def test_interface_is_found_by_each_of_its_addresses(text, name):
    assert interface.interface_for(text) == name


def test_interface_is_found_by_a_host_name(monkeypatch):
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: [(2, 2, 17, "", ("10.77.0.3", 0))])
    assert interface.interface_for("boot.example") == "eth0"


@pytest.mark.parametrize("text", ["eth7", "10.77.0.99", "fd00::1"])
def test_what_is_not_there_is_refused_with_all_that_there_is(text, monkeypatch):
    def unknown(*_):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    there = r"there are lo \(127\.0\.0\.1\), eth0 \(10\.77\.0\.2 10\.77\.0\.3\), eth1 \(no IPv4 address\)"
    with pytest.raises(StartError, match=rf"--dhcp-proxy-iface-or-ip: {text} is neither .*; {there}; name the one"):
        interface.interface_for(text)
