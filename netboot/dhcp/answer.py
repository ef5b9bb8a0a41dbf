"""What is answered to a packet: bytes in, a reply or the reason for none out."""

from __future__ import annotations

import ipaddress
from typing import Final

from netboot.datagrams import BROADCAST
from netboot.dhcp.client import architecture_of, can_http, is_ipxe, machine_id_of, vendor_class_for
from netboot.dhcp.firmware import FIRMWARES, Firmware
from netboot.dhcp.loop_guard import LoopGuard
from netboot.dhcp.ports import BROADCAST_PORT, PROXY_PORT, Arrival
from netboot.dhcp.reply import reply_bytes
from netboot.dhcp.request import Request, claimed_mac, read_request
from netboot.dhcp.site import Site
from netboot.dhcp.verdict import Client, Ignored, Message, NotAnsweredError, Reason, Reply

_CLIENT_PORT: Final = 68
_NO_ADDRESS: Final = "0.0.0.0"  # noqa: S104 - a client without an address
_THIS_NETWORK: Final = ipaddress.IPv4Network("0.0.0.0/8")
_ANSWERED: Final[dict[tuple[int, int], Message]] = {
    (BROADCAST_PORT, Message.DISCOVER): Message.OFFER,
    (PROXY_PORT, Message.REQUEST): Message.ACK,
}


def answer(packet: bytes, arrival: Arrival, site: Site, guard: LoopGuard) -> Reply | Ignored:
    """Decide on a packet.

    Args:
        packet: its bytes, whatever they are.
        arrival: how it came.
        site: where firmware finds us.
        guard: knows which old iPXE got our binary.
    """
    try:
        return _answer(read_request(packet), arrival, site, guard)
    except NotAnsweredError as error:
        return Ignored(error.reason, claimed_mac(packet), error.detail)


def _answer(request: Request, arrival: Arrival, site: Site, guard: LoopGuard) -> Reply:
    message = _ANSWERED.get((arrival.port, request.message))
    if message is None:
        raise NotAnsweredError(Reason.OTHER_MESSAGE, str(request.message))
    architecture = architecture_of(request)
    firmware = FIRMWARES[architecture]
    vendor_class = vendor_class_for(request, firmware)
    destination = _destination(request, arrival)
    machine_id = machine_id_of(request)
    client, boot_file = _boot(request, firmware, site, guard)
    packet = reply_bytes(
        request,
        message,
        address=site.address,
        vendor_class=vendor_class,
        machine_id=machine_id,
        boot_file=boot_file,
        by_tftp=boot_file == firmware.binary,
    )
    return Reply(packet, destination, message, client, request.mac, architecture, boot_file)


def _boot(request: Request, firmware: Firmware, site: Site, guard: LoopGuard) -> tuple[Client, str]:
    """What kind of client it is, and its boot file."""
    binary = site.boot_file(firmware)
    if not is_ipxe(request):
        return (Client.HTTP if firmware.by_http else Client.PXE), binary
    if can_http(request):
        guard.forget(request.mac)
        return Client.IPXE, site.script_url
    return Client.OLD_IPXE, site.script_url if guard.wants_script(request.mac, request.xid) else binary


def _destination(request: Request, arrival: Arrival) -> tuple[str, int]:
    """Where the answer goes. At 4011 the client has an address, and asks from a port of its own choice."""
    if arrival.port == PROXY_PORT:
        return arrival.source
    if request.giaddr != _NO_ADDRESS:
        relay = ipaddress.IPv4Address(request.giaddr)
        if relay.is_multicast or relay.is_reserved or relay.is_loopback or relay in _THIS_NETWORK:
            raise NotAnsweredError(Reason.BAD_RELAY, request.giaddr)
        return request.giaddr, BROADCAST_PORT
    return (BROADCAST, _CLIENT_PORT) if arrival.source[0] == _NO_ADDRESS else arrival.source
