"""Asks the DHCP proxy without a network."""

from netboot.dhcp.answer import answer
from netboot.dhcp.loop_guard import LoopGuard
from netboot.dhcp.ports import Arrival
from netboot.dhcp.site import Site
from tests.netboot_clients.packets import REQUEST, read, request

SITE = Site("10.77.0.2", "http://10.77.0.2:50042")
SCRIPT = "http://10.77.0.2:50042/ipxe/init.ipxe"
NOBODY = ("0.0.0.0", 68)
CLIENT = ("10.77.0.50", 4011)


def verdict(packet, port=67, source=NOBODY, guard=None):
    return answer(packet, Arrival(port, source), SITE, guard or LoopGuard())


def offer(guard=None, **packet):
    """The OFFER to a DISCOVER, as the client reads it."""
    return read(verdict(request(**packet), guard=guard).packet)


def ack(guard=None, **packet):
    """The ACK to a REQUEST at 4011, as the client reads it."""
    return read(verdict(request(REQUEST, **packet), 4011, CLIENT, guard).packet)


def ignored(packet, port=67):
    """Why a packet is not answered."""
    return verdict(packet, port).reason
