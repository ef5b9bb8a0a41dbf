"""The bytes of an answer.

Always: 53; 54, without which EDK2 drops an offer; 60, likewise; 67. Option 43 is not sent: all firmware tried boots
without it, by asking again at port 4011, and what it would spare is that one question. It would also be taken from
whatever else the DHCP server tells in its own option 43.
"""

from __future__ import annotations

import ipaddress
from typing import Final

from scapy.layers.dhcp import BOOTP, DHCP

from netboot.dhcp.request import MACHINE_ID, MESSAGE_TYPE, RELAY_INFORMATION, VENDOR_CLASS, Request
from netboot.dhcp.verdict import Message

_SERVER_ID: Final = 54
_TFTP_SERVER: Final = 66
_BOOT_FILE: Final = 67

_BOOTREPLY: Final = 2
# Some relays and old ROMs drop what is shorter than the smallest BOOTP packet (RFC 1542, 2.1).
_SHORTEST: Final = 300
_LONGEST_VALUE: Final = 255


def reply_bytes(
    request: Request,
    message: Message,
    *,
    address: str,
    vendor_class: bytes,
    machine_id: bytes,
    boot_file: str,
    by_tftp: bool,
) -> bytes:
    """Build an answer.

    Args:
        request: what is answered.
        message: OFFER or ACK.
        address: ours, IPv4.
        vendor_class: option 60, up to 255 bytes.
        machine_id: option 97; empty where the client sent none.
        boot_file: a name (by_tftp), or a URL of up to 255 bytes.
        by_tftp: the boot file is fetched by TFTP: it stands in the field `file` too, for U-Boot and old ROMs.
    """
    options: list[tuple[int, bytes]] = [
        (MESSAGE_TYPE, bytes([message])),
        (_SERVER_ID, ipaddress.IPv4Address(address).packed),
        (VENDOR_CLASS, vendor_class),
    ]
    if machine_id:
        options.append((MACHINE_ID, machine_id))
    if by_tftp:
        options.append((_TFTP_SERVER, address.encode("ascii")))
    options.append((_BOOT_FILE, boot_file.encode("ascii")))
    relay_information = request.options.get(RELAY_INFORMATION, b"")
    if 0 < len(relay_information) <= _LONGEST_VALUE:  # by it a relay or switch knows where to (RFC 3046, 2.2)
        options.append((RELAY_INFORMATION, relay_information))
    header = BOOTP(
        op=_BOOTREPLY,
        xid=request.xid,
        flags=request.flags,
        ciaddr=request.ciaddr if message is Message.ACK else "0.0.0.0",  # noqa: S104 - the field left empty
        siaddr=address,
        giaddr=request.giaddr,
        chaddr=request.hardware,
        file=boot_file.encode("ascii") if by_tftp else b"",
    )
    packet: bytes = bytes(header / DHCP(options=[*options, "end"]))
    return packet.ljust(_SHORTEST, b"\0")
