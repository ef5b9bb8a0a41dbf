"""A DHCP packet of a boot client, checked and taken apart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from scapy.layers.dhcp import BOOTP

from netboot.datagrams import LONGEST_PACKET
from netboot.dhcp.options import COOKIE, OPTIONS_AT, options_of
from netboot.dhcp.verdict import NotAnsweredError, Reason

MESSAGE_TYPE: Final = 53
VENDOR_CLASS: Final = 60
USER_CLASS: Final = 77
RELAY_INFORMATION: Final = 82
ARCHITECTURE: Final = 93
MACHINE_ID: Final = 97
IPXE_FEATURES: Final = 175

_BOOTP_BYTES: Final = 236
_BOOTREQUEST: Final = 1
_ETHERNET: Final = 1
_MAC_BYTES: Final = 6


@dataclass(frozen=True, slots=True)
class Request:
    """What a client sent.

    hardware: its address field, 16 bytes.
    message: the number of option 53; 0 where it is missing or malformed.
    options: all of them, by number.
    """

    xid: int
    flags: int
    ciaddr: str
    giaddr: str
    hardware: bytes
    message: int
    options: Mapping[int, bytes]

    @property
    def mac(self) -> str:
        """The client's MAC, as `52:54:00:12:34:56`."""
        return mac_of(self.hardware)


def read_request(packet: bytes) -> Request:
    """Check a packet and take it apart. Raises NotAnsweredError where it is no request of an Ethernet client."""
    _check(packet)
    header = BOOTP(packet[:_BOOTP_BYTES])
    options = options_of(packet)
    message = options.get(MESSAGE_TYPE, b"")
    return Request(
        xid=header.xid,
        flags=int(header.flags),
        ciaddr=header.ciaddr,
        giaddr=header.giaddr,
        hardware=packet[28:44],
        message=message[0] if len(message) == 1 else 0,
        options=options,
    )


def claimed_mac(packet: bytes) -> str:
    """The MAC that a packet claims to come from, whatever else it is; empty where it is too short for one."""
    return mac_of(packet[28:44]) if len(packet) >= OPTIONS_AT else ""


def mac_of(hardware: bytes) -> str:
    """The text of the first six bytes."""
    return hardware[:_MAC_BYTES].hex(":")


def _check(packet: bytes) -> None:
    """Look at what scapy does not: it fails on a short packet, and reads any other as if it were right."""
    if len(packet) < OPTIONS_AT:
        raise NotAnsweredError(Reason.TOO_SHORT)
    if len(packet) >= LONGEST_PACKET:
        raise NotAnsweredError(Reason.TOO_LONG)
    if packet[0] != _BOOTREQUEST:
        raise NotAnsweredError(Reason.NOT_FROM_CLIENT)
    if packet[1] != _ETHERNET or packet[2] != _MAC_BYTES:
        raise NotAnsweredError(Reason.NOT_ETHERNET)
    if packet[_BOOTP_BYTES:OPTIONS_AT] != COOKIE:
        raise NotAnsweredError(Reason.NOT_DHCP)
