"""What is no packet of an Ethernet client is told apart before anything reads it."""

import pytest

from netboot.dhcp.request import claimed_mac, read_request
from netboot.dhcp.verdict import NotAnsweredError, Reason
from tests.netboot_clients.packets import MAC, request
from tests.unit.netboot.dhcp.asking import ignored

GOOD = request()


@pytest.mark.parametrize("size", [0, 1, 28, 43, 235, 236, 239])
def test_packet_too_short_for_dhcp_is_not_answered(size):
    assert ignored(GOOD[:size]) is Reason.TOO_SHORT


def test_packet_that_may_have_been_cut_is_not_answered():
    assert ignored(GOOD.ljust(2048, b"\0")) is Reason.TOO_LONG
    assert read_request(GOOD.ljust(2047, b"\0")).mac == MAC


@pytest.mark.parametrize("op", [0, 2, 3, 255])
def test_packet_that_is_no_request_is_not_answered(op):
    assert ignored(request(op=op)) is Reason.NOT_FROM_CLIENT


@pytest.mark.parametrize("cookie", [b"\0\0\0\0", b"\x63\x82\x53\x62", b"Sc\x82c"])
def test_bootp_without_dhcp_is_not_answered(cookie):
    assert ignored(request(cookie=cookie)) is Reason.NOT_DHCP


@pytest.mark.parametrize(("htype", "hlen"), [(0, 6), (6, 6), (32, 6), (1, 0), (1, 5), (1, 16), (1, 255), (32, 0)])
def test_client_without_ethernet_address_is_not_answered(htype, hlen):
    assert ignored(request(htype=htype, hlen=hlen)) is Reason.NOT_ETHERNET


def test_fields_are_read():
    read = read_request(request(3, xid=0xFEDCBA98, flags=0x8000, ciaddr="10.0.0.9", giaddr="10.0.0.1"))
    assert (read.message, read.xid, read.flags) == (3, 0xFEDCBA98, 0x8000)
    assert (read.ciaddr, read.giaddr, read.mac) == ("10.0.0.9", "10.0.0.1", MAC)
    assert len(read.hardware) == 16


def test_mac_is_told_also_of_what_is_refused():
    assert claimed_mac(request(op=2)) == MAC
    assert claimed_mac(b"x" * 100) == ""


def test_reason_is_the_error():
    with pytest.raises(NotAnsweredError, match="too short"):
        read_request(b"")
