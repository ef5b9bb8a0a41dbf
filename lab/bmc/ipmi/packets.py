"""The packets on the wire: pings, the packets of IPMI 1.5 that need no session, and those of RMCP+. Pure.

IPMI v2.0 §13.1.3 (RMCP), §13.2.4 (pings), §13.6 (formats). Numbers are little-endian, but for those of a ping.
"""

from __future__ import annotations

import enum
import struct
from dataclasses import dataclass
from typing import Final

RMCP: Final = b"\x06\x00\xff"  # version, reserved, no acknowledgement wanted
CLASS_ASF: Final = 6
CLASS_IPMI: Final = 7
FORMAT_NONE: Final = 0
FORMAT_RMCP_PLUS: Final = 6
ASF_NUMBER: Final = (4542).to_bytes(4, "big")  # ASF's number among the enterprises
ASF_PING: Final = 0x80
ASF_PONG: Final = 0x40
# The whole message has to fit into a datagram that no network takes apart; IPMI messages are much shorter.
LONGEST_BYTES: Final = 1024

_PLAIN: Final = struct.Struct("<BIIB")
_FRAME: Final = struct.Struct("<BBIIH")


class Malformed(ValueError):
    """Bytes that are none of these packets."""


class Payload(enum.IntEnum):
    """What an RMCP+ packet holds."""

    IPMI = 0x00
    OPEN_REQUEST = 0x10
    OPEN_RESPONSE = 0x11
    RAKP1 = 0x12
    RAKP2 = 0x13
    RAKP3 = 0x14
    RAKP4 = 0x15


@dataclass(frozen=True, slots=True)
class Ping:
    """Somebody asks whether there is a BMC. tag: a number that the answer repeats."""

    tag: int

    def pong(self) -> bytes:
        """The answer: there is one, and it speaks IPMI."""
        about = ASF_NUMBER + bytes(4) + b"\x81\x00" + bytes(6)
        return RMCP + bytes([CLASS_ASF]) + ASF_NUMBER + bytes([ASF_PONG, self.tag, 0, len(about)]) + about


@dataclass(frozen=True, slots=True)
class Plain:
    """An IPMI message as IPMI 1.5 packs it. session_id: 0 outside of any session."""

    payload: bytes
    sequence: int = 0
    session_id: int = 0

    def packed(self) -> bytes:
        """The bytes on the wire."""
        head = _PLAIN.pack(FORMAT_NONE, self.sequence, self.session_id, len(self.payload))
        return RMCP + bytes([CLASS_IPMI]) + head + self.payload


@dataclass(frozen=True, slots=True)
class Frame:
    """A packet of RMCP+.

    trailer: what follows the payload of a signed packet: padding, its length, a fixed byte and the code.
    """

    kind: Payload
    payload: bytes
    session_id: int = 0
    sequence: int = 0
    encrypted: bool = False
    signed: bool = False
    trailer: bytes = b""

    def body(self) -> bytes:
        """What a code signs, up to the trailer: all but the RMCP header."""
        kind = self.kind | self.encrypted << 7 | self.signed << 6
        head = _FRAME.pack(FORMAT_RMCP_PLUS, kind, self.session_id, self.sequence, len(self.payload))
        return head + self.payload

    def packed(self) -> bytes:
        """The bytes on the wire."""
        return RMCP + bytes([CLASS_IPMI]) + self.body() + self.trailer


def read_packet(data: bytes) -> Ping | Plain | Frame:
    """Read a datagram.

    Raises:
        Malformed: it is none of these packets.
    """
    if len(data) < 5 or len(data) > LONGEST_BYTES or data[:3] != RMCP:
        raise Malformed("no RMCP")
    if data[3] == CLASS_ASF:
        return _ping(data[4:])
    if data[3] != CLASS_IPMI:
        raise Malformed("a class that is not IPMI")
    if data[4] == FORMAT_RMCP_PLUS:
        return _frame(data[4:])
    if data[4] == FORMAT_NONE:
        return _plain(data[4:])
    raise Malformed("a format that is not known here")


def _ping(data: bytes) -> Ping:
    if len(data) != 8 or data[:4] != ASF_NUMBER or data[4] != ASF_PING or data[7]:
        raise Malformed("no ping")
    return Ping(data[5])


def _plain(data: bytes) -> Plain:
    if len(data) < _PLAIN.size:
        raise Malformed("cut short")
    _, sequence, session_id, length = _PLAIN.unpack_from(data)
    payload, rest = data[_PLAIN.size : _PLAIN.size + length], data[_PLAIN.size + length :]
    # Some clients append a byte of padding to packets of lengths that old network cards lost (§13.6, "legacy pad").
    if len(payload) != length or rest not in (b"", b"\x00"):
        raise Malformed("a length that is not true")
    return Plain(payload, sequence, session_id)


def _frame(data: bytes) -> Frame:
    if len(data) < _FRAME.size:
        raise Malformed("cut short")
    _, kind, session_id, sequence, length = _FRAME.unpack_from(data)
    payload, trailer = data[_FRAME.size : _FRAME.size + length], data[_FRAME.size + length :]
    signed = bool(kind & 0x40)
    if len(payload) != length or bool(trailer) is not signed:
        raise Malformed("a length that is not true")
    if kind & 0x3F not in _KINDS:
        raise Malformed("a payload that is not known here")
    return Frame(Payload(kind & 0x3F), payload, session_id, sequence, bool(kind & 0x80), signed, trailer)


_KINDS: Final = frozenset(kind.value for kind in Payload)
