"""Packets of OpenPGP (RFC 9580, sections 3 and 4): their headers in both formats, and the fields in them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

SIGNATURE = 2
SECRET_KEY = 5
PUBLIC_KEY = 6
SECRET_SUBKEY = 7
USER_ID = 13
PUBLIC_SUBKEY = 14


class PacketBroken(Exception):
    """The packets end in the middle, or are laid out in a way that no key is."""


@dataclass(frozen=True, slots=True)
class Packet:
    """One packet without its header."""

    tag: int
    body: bytes


class Fields:
    """Reads the fields of a packet one after the other. Each raises PacketBroken where the packet is too short."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.position = 0

    @property
    def rest(self) -> int:
        """How many bytes are left."""
        return len(self._data) - self.position

    def take(self, size: int) -> bytes:
        """The next so many bytes."""
        if size > self.rest:
            raise PacketBroken("a packet is shorter than it says")
        self.position += size
        return self._data[self.position - size : self.position]

    def number(self, size: int) -> int:
        """A number of so many bytes."""
        return int.from_bytes(self.take(size), "big")

    def mpi(self) -> bytes:
        """A number that brings its length in bits; without leading zeroes."""
        return self.take((self.number(2) + 7) // 8)


def packets(data: bytes) -> Iterator[Packet]:
    """All packets, in order. Raises PacketBroken."""
    fields = Fields(data)
    while fields.rest:
        header = fields.number(1)
        if not header & 0x80:
            raise PacketBroken("what should be a packet is none")
        if header & 0x40:
            yield Packet(header & 0x3F, fields.take(_length(fields, 224)))
        else:
            yield Packet(header >> 2 & 0x0F, fields.take(_old_length(fields, header & 3)))


def subpackets(area: bytes) -> Iterator[Packet]:
    """The subpackets of a signature; whether one is critical is left out. Raises PacketBroken."""
    fields = Fields(area)
    while fields.rest:
        body = Fields(fields.take(_length(fields, 255)))
        yield Packet(body.number(1) & 0x7F, body.take(body.rest))


def _length(fields: Fields, two_bytes_below: int) -> int:
    """A length in one, two or five bytes."""
    first = fields.number(1)
    if first < 192:
        return first
    if first < two_bytes_below:
        return (first - 192 << 8) + fields.number(1) + 192
    if first == 255:
        return fields.number(4)
    raise PacketBroken("a packet comes in parts, which no key may")


def _old_length(fields: Fields, kind: int) -> int:
    if kind == 3:
        return fields.rest
    return fields.number(1 << kind)


def packet(tag: int, body: bytes) -> bytes:
    """A packet with a header of the new format."""
    return bytes([0xC0 | tag]) + length(len(body)) + body


def length(size: int) -> bytes:
    """The length of a new packet, or of a subpacket."""
    if size < 192:
        return bytes([size])
    if size < 8384:
        return bytes([(size - 192 >> 8) + 192, size - 192 & 0xFF])
    return b"\xff" + size.to_bytes(4, "big")


def mpi(data: bytes) -> bytes:
    """A number with its length in bits."""
    number = int.from_bytes(data, "big")
    bits = number.bit_length()
    return bits.to_bytes(2, "big") + number.to_bytes((bits + 7) // 8, "big")
