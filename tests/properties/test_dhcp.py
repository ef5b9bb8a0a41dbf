"""Whatever comes in a packet: it is answered or not, and an answer is short, whole and for boot clients alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.dhcp import BOOTP, DHCP

from netboot.dhcp.answer import answer
from netboot.dhcp.loop_guard import LoopGuard
from netboot.dhcp.options import options_of
from netboot.dhcp.ports import Arrival
from netboot.dhcp.site import Site
from netboot.dhcp.verdict import Ignored, Reply
from tests.netboot_clients.nonsense import ARCHITECTURES, damaged, malformed
from tests.netboot_clients.packets import read, request

SITE = Site("10.77.0.2", "http://10.77.0.2:50042")
PORTS = (67, 4011)
SOURCE = ("10.77.0.50", 68)
# Less than a frame takes, without the headers of IP and UDP.
LONGEST = 1500 - 28


def _asked(packet, port):
    return answer(packet, Arrival(port, SOURCE), SITE, LoopGuard())


def _harmless(packet, port):
    """Ask; what is answered must be fit to send, and go to a boot client. Returns whether it was answered."""
    verdict = _asked(packet, port)
    if isinstance(verdict, Ignored):
        assert verdict.detail.isprintable()
        assert len(verdict.detail) <= 60
        return False
    _fit_to_send(verdict)
    options = options_of(packet)
    assert len(options[93]) >= 2
    assert (options.get(60) or b"PXEClient").startswith((b"PXEClient", b"HTTPClient"))
    assert options[53] == (b"\1" if port == 67 else b"\3")
    return True


def _fit_to_send(reply: Reply):
    assert 300 <= len(reply.packet) <= LONGEST
    ours = read(reply.packet)
    theirs = BOOTP(reply.packet)
    named = dict(option for option in theirs[DHCP].options if isinstance(option, tuple))
    assert (theirs.op, theirs.xid, theirs.siaddr) == (2, ours.xid, "10.77.0.2")
    assert named["message-type"] == ours.options[53][0]
    assert named["server_id"] == "10.77.0.2"
    assert ours.boot_file == reply.boot_file


@pytest.mark.parametrize("seed", range(2))
def test_malformed_packet_is_never_answered(seed):
    for packet in malformed(10_000, seed):
        for port in PORTS:
            assert isinstance(_asked(packet, port), Ignored), packet.hex()


def test_damaged_packet_is_answered_well_or_not_at_all():
    answered = sum(_harmless(packet, port) for packet in damaged(6000, 7) for port in PORTS)
    assert answered > 500, "damage so heavy proves nothing"


@given(st.binary(max_size=2100), st.sampled_from(PORTS))
def test_any_bytes_are_taken(packet, port):
    _harmless(packet, port)


@given(
    options=st.dictionaries(st.integers(1, 254), st.binary(max_size=255) | st.none(), max_size=12),
    arch=st.sampled_from(ARCHITECTURES),
    fields=st.fixed_dictionaries({"sname": st.binary(max_size=64), "file": st.binary(max_size=128)}),
    port=st.sampled_from(PORTS),
)
def test_boot_client_with_any_further_options_is_taken(options, arch, fields, port):
    _harmless(request(1 if port == 67 else 3, arch=arch, options=options, **fields), port)


@given(tail=st.binary(max_size=1700), fields=st.fixed_dictionaries({"sname": st.binary(max_size=64)}))
def test_anything_behind_the_header_is_taken(tail, fields):
    _harmless(request(**fields)[:240] + tail, 67)
