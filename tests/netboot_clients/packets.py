"""DHCP packets as boot clients send them, and what stands in the answers."""

import ipaddress
import struct
from dataclasses import dataclass

COOKIE = b"\x63\x82\x53\x63"
DISCOVER, OFFER, REQUEST, DECLINE, ACK, NAK, RELEASE, INFORM = range(1, 9)
HEADER = struct.Struct("!BBBBIHH4s4s4s4s16s64s128s")
MAC = "52:54:00:12:34:56"
MACHINE_ID = b"\0" + bytes(range(16))
# What iPXE says of itself: its network card, its version, then features; 19 is HTTP, 23 is BzImage, 34 is menus.
IPXE_WITHOUT_HTTP = bytes.fromhex("b105011af41000 eb03010000 170101 220101")
IPXE_HTTP = IPXE_WITHOUT_HTTP + bytes.fromhex("130101")
BROADCAST_FLAG = 0x8000


def option(number, value):
    return bytes([number, len(value)]) + value


def architectures(*numbers):
    return b"".join(number.to_bytes(2, "big") for number in numbers)


def ipxe(features=IPXE_HTTP, user_class=b"iPXE"):
    """The options by which iPXE differs from the firmware below it."""
    return {77: user_class, 175: features}


def request(
    message=DISCOVER,
    *,
    arch=0,
    mac=MAC,
    xid=0x12345678,
    flags=BROADCAST_FLAG,
    ciaddr="0.0.0.0",
    giaddr="0.0.0.0",
    op=1,
    htype=1,
    hlen=6,
    sname=b"",
    file=b"",
    cookie=COOKIE,
    options=None,
    tail=b"",
):
    """A packet of a boot client.

    arch: the number of its architecture, also several, or the bytes of option 93.
    options: further ones, by number; they replace the usual ones, None leaves one out.
    tail: what stands behind the options, in place of the end mark.
    """
    numbers = arch if isinstance(arch, tuple) else (arch,)
    value = arch if isinstance(arch, bytes) else architectures(*numbers)
    kind = "HTTPClient" if numbers[-1] in (15, 16, 19, 24) else "PXEClient"
    shown = numbers[-1] if isinstance(numbers[-1], int) else 0
    usual = {
        53: bytes([message]),
        57: b"\x05\xc0",
        93: value,
        94: b"\x01\x03\x10",
        60: f"{kind}:Arch:{shown:05}:UNDI:003016".encode(),
        97: MACHINE_ID,
        55: bytes([1, 3, 6, 12, 15, 43, 54, 60, 66, 67, 97]),
    }
    usual |= options or {}
    body = b"".join(option(number, of_it) for number, of_it in usual.items() if of_it is not None)
    header = HEADER.pack(
        op,
        htype,
        hlen,
        0,
        xid,
        0,
        flags,
        ipaddress.IPv4Address(ciaddr).packed,
        bytes(4),
        bytes(4),
        ipaddress.IPv4Address(giaddr).packed,
        bytes.fromhex(mac.replace(":", "")),
        sname,
        file,
    )
    return header + cookie + body + (tail or b"\xff")


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server said."""

    op: int
    xid: int
    flags: int
    ciaddr: str
    yiaddr: str
    siaddr: str
    giaddr: str
    mac: str
    sname: str
    file: str
    options: dict
    size: int

    @property
    def message(self):
        return self.options[53][0]

    @property
    def server(self):
        return str(ipaddress.IPv4Address(self.options[54]))

    @property
    def boot_file(self):
        return self.options.get(67, b"").decode()


def read(packet):
    """Take an answer apart as strict firmware does: each option once, an end mark, and nothing but padding behind."""
    op, htype, hlen, _, xid, _, flags, *addresses, hardware, sname, file = HEADER.unpack_from(packet)
    assert (htype, hlen) == (1, 6)
    assert packet[236:240] == COOKIE
    options, at = {}, 240
    while packet[at] != 255:
        number, length = packet[at], packet[at + 1]
        value = packet[at + 2 : at + 2 + length]
        assert len(value) == length
        assert number not in options
        options[number] = value
        at += 2 + length
    assert not packet[at + 1 :].strip(b"\0")
    shown = [str(ipaddress.IPv4Address(packed)) for packed in addresses]
    texts = [field.rstrip(b"\0").decode() for field in (sname, file)]
    return Answer(op, xid, flags, *shown, hardware[:6].hex(":"), *texts, options, len(packet))
