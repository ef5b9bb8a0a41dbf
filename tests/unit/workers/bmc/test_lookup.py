"""How a BMC's name is looked up: within bounds."""

import socket
import time

import pytest

from app.machine.model import Ipmi
from config.settings import Settings
from workers.bmc import exchange
from workers.bmc.api import ApiBmc
from workers.bmc.errors import BmcUnreachable
from workers.bmc.exchange import open_line
from workers.bmc.lookup import look_up
from workers.bmc.redfish import probe
from workers.bmc.redfish.probe import speaks_redfish

V4, V6 = socket.AF_INET, socket.AF_INET6


@pytest.fixture
def resolver(monkeypatch):
    """Tells these addresses, each with its family, after a while."""

    def tell(*addresses, after_s=0.0, error=None):
        def getaddrinfo(name, port, *_, **__):
            time.sleep(after_s)
            if error is not None:
                raise error
            return [(family, 1, 6, "", (address, port)) for family, address in addresses if name == "bmc-7"]

        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)

    return tell


def test_one_address_of_each_family_is_told_in_the_resolvers_order(resolver):
    resolver((V6, "2001:db8::1"), (V6, "2001:db8::2"), (V4, "192.0.2.1"), (V4, "192.0.2.2"))
    assert look_up("bmc-7", 80, socket.SOCK_STREAM, 1.0) == [(V6, ("2001:db8::1", 80)), (V4, ("192.0.2.1", 80))]
    assert look_up("bmc-8", 80, socket.SOCK_STREAM, 1.0) == []


@pytest.mark.parametrize("error", [socket.gaierror(-2, "not known"), UnicodeError("label too long")])
def test_what_the_resolver_raises_is_raised(resolver, error):
    resolver(error=error)
    with pytest.raises(type(error)):
        look_up("bmc-7", 80, socket.SOCK_STREAM, 1.0)


@pytest.mark.parametrize("ask", [
    lambda: look_up("bmc-7", 80, socket.SOCK_STREAM, 0.02),
    lambda: open_line(("bmc-7", 80), 9.0),
    lambda: open_line(("bmc-7", 80), 9.0, time.monotonic() + 0.01),
])  # fmt: skip
def test_resolver_that_does_not_answer_is_not_waited_for(resolver, monkeypatch, ask):
    resolver((V4, "127.0.0.1"), after_s=0.2)
    monkeypatch.setattr(exchange, "LOOKUP_S", 0.02)
    began_s = time.monotonic()
    with pytest.raises(TimeoutError):
        ask()
    assert time.monotonic() - began_s < 0.15
    time.sleep(0.2)  # let the thread end


def test_look_up_counts_in_the_time_of_the_question_for_redfish(resolver, monkeypatch):
    monkeypatch.setattr(probe, "PROBE_S", 0.05)
    resolver((V4, "127.0.0.1"), after_s=0.4)
    began_s = time.monotonic()
    assert not speaks_redfish(Ipmi("bmc-7"), Settings())
    assert time.monotonic() - began_s < 0.3
    time.sleep(0.4)  # let the thread end


def test_look_up_counts_in_the_time_of_an_api_bmc(resolver, monkeypatch):
    monkeypatch.setattr(exchange, "TIMEOUT_S", 0.05)
    resolver((V4, "127.0.0.1"), after_s=0.4)
    began_s = time.monotonic()
    with pytest.raises(BmcUnreachable):
        ApiBmc("bmc-7:80").power_state()
    assert time.monotonic() - began_s < 0.3
    time.sleep(0.4)  # let the thread end


def test_name_without_an_address_is_not_dialled(resolver):
    resolver()
    with pytest.raises(OSError, match="no address"):
        open_line(("bmc-7", 80), 1.0)


def test_next_address_of_a_name_is_dialled_where_the_first_refuses(resolver, monkeypatch):
    dialled = []

    class Line:
        def __init__(self, family):
            self._family = family

        def settimeout(self, timeout_s):
            dialled.append(timeout_s)

        def connect(self, place):
            dialled.append(place)
            if self._family == V6:
                raise ConnectionRefusedError

        def close(self):
            dialled.append("closed")

    resolver((V6, "2001:db8::1"), (V4, "192.0.2.1"))
    monkeypatch.setattr(socket, "socket", Line)
    open_line(("bmc-7", 80), 3.0)
    assert dialled == [1.5, ("2001:db8::1", 80), "closed", 1.5, ("192.0.2.1", 80)]
