"""What the loop does with one packet, without a network."""

import pytest
from structlog.testing import capture_logs

from netboot.datagrams import Datagram
from netboot.dhcp import proxy
from netboot.dhcp.proxy import DhcpProxy
from tests.netboot_clients.packets import read, request
from tests.unit.netboot.dhcp.asking import SITE

DISCOVER = Datagram(request(arch=7), ("0.0.0.0", 68), 2, b"\x0a\x4d\0\2")


@pytest.fixture
def sent(monkeypatch):
    """What would have been sent; it is refused where there is an error in it."""
    found = []

    def answer_to(_opened, asked, packet, destination):
        found.append((asked, read(packet), destination))
        raise_it = [error for error in found if isinstance(error, OSError)]
        if raise_it:
            raise raise_it[0]

    monkeypatch.setattr(proxy, "answer_to", answer_to)
    return found


@pytest.fixture
def lines():
    with capture_logs() as found:
        yield found


def take(datagram, *, dry_run=False):
    """Give one packet to a proxy that is then stopped."""
    made = DhcpProxy({67: None}, SITE, dry_run=dry_run)
    made._guarded(datagram, 67)
    end(made)


def end(made):
    made._sockets.clear()
    made.stop()
    made.stop()
    made.serve()
    made.stop()


def test_answer_is_sent_by_the_way_the_packet_came(sent, lines):
    take(DISCOVER)
    [(asked, answer, destination)] = sent
    assert asked is DISCOVER
    assert (answer.boot_file, destination) == ("snp.efi", ("255.255.255.255", 68))
    assert [line["event"] for line in lines] == ["dhcp_offered", "dhcp_proxy_serves", "dhcp_proxy_stopped"]
    assert lines[-1]["answered"] == {"offer": 1}


def test_dry_run_sends_nothing(sent, lines):
    take(DISCOVER, dry_run=True)
    assert sent == []
    assert lines[0]["verdict"] == "would send OFFER"


def test_packet_without_answer_is_counted(sent, lines):
    take(Datagram(b"", ("10.0.0.9", 68), 2, bytes(4)))
    assert sent == []
    assert (lines[-1]["received"], lines[-1]["ignored"]) == (1, {"too short for DHCP": 1})


def test_answer_that_cannot_be_sent_is_no_answer(sent, lines):
    sent.append(OSError(101, "Network is unreachable"))
    take(DISCOVER)
    assert lines[0]["event"] == "dhcp_send_failed"
    assert (lines[-1]["answered"], lines[-1]["failed"]) == ({}, 1)


def test_fault_of_the_program_costs_one_packet(monkeypatch, lines):
    def fail(*_):
        raise ZeroDivisionError

    monkeypatch.setattr(proxy, "answer", fail)
    take(DISCOVER)
    assert (lines[0]["event"], lines[0]["address"]) == ("dhcp_broke", "0.0.0.0")
    assert isinstance(lines[0]["exc_info"], ZeroDivisionError)
    assert (lines[-1]["failed"], lines[-1]["broke"]) == (0, 1)
