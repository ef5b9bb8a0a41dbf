"""The six payloads with which a session is agreed on. Pure. IPMI v2.0 §13.17 to §13.23."""

from __future__ import annotations

import enum
import struct
from dataclasses import dataclass
from typing import Final

from lab.bmc.ipmi.packets import Malformed

LONGEST_USER_BYTES: Final = 16
RANDOM_BYTES: Final = 16

_OPEN: Final = struct.Struct("<BBxxI")
_ALGORITHM: Final = struct.Struct("<BxxBBxxx")
_ALGORITHM_BYTES: Final = 8
_RAKP1: Final = struct.Struct("<BxxxI16sBxxB")
_RAKP3: Final = struct.Struct("<BBxxI")
_HEAD: Final = struct.Struct("<BBxxI")


class Status(enum.IntEnum):
    """What the BMC says to a step of the handshake (§13.24)."""

    OK = 0x00
    NO_SESSION_LEFT = 0x01
    SESSION_UNKNOWN = 0x02
    PRIVILEGE_UNAVAILABLE = 0x0A
    NAME_LENGTH = 0x0C
    NAME_UNKNOWN = 0x0D
    CODE_WRONG = 0x0F
    NO_SUITE = 0x11
    PARAMETER_ILLEGAL = 0x12


@dataclass(frozen=True, slots=True)
class OpenRequest:
    """A program wants a session. algorithms: the numbers for authentication, integrity, confidentiality."""

    tag: int
    privilege: int
    console_id: int
    algorithms: tuple[int, int, int]

    def packed(self) -> bytes:
        """The bytes of the payload."""
        return _OPEN.pack(self.tag, self.privilege, self.console_id) + _algorithms(self.algorithms)

    def answer(self, bmc_id: int, privilege: int) -> bytes:
        """The session has a slot."""
        head = struct.pack("<BBBxII", self.tag, Status.OK, privilege, self.console_id, bmc_id)
        return head + _algorithms(self.algorithms)

    def refusal(self, status: Status) -> bytes:
        """It has none."""
        return _HEAD.pack(self.tag, status, self.console_id)


@dataclass(frozen=True, slots=True)
class Rakp1:
    """The program says who it is. role: the level wanted, and in bit 4 that the name alone chooses the user."""

    tag: int
    bmc_id: int
    console_random: bytes
    role: int
    name: bytes

    def packed(self) -> bytes:
        """The bytes of the payload."""
        return _RAKP1.pack(self.tag, self.bmc_id, self.console_random, self.role, len(self.name)) + self.name


@dataclass(frozen=True, slots=True)
class Rakp3:
    """The program proves it. status: not 0 where it gives up instead."""

    tag: int
    status: int
    bmc_id: int
    code: bytes

    def packed(self) -> bytes:
        """The bytes of the payload."""
        return _RAKP3.pack(self.tag, self.status, self.bmc_id) + self.code


def read_open(payload: bytes) -> OpenRequest:
    """Read an Open Session request.

    Raises:
        Malformed: it is none.
    """
    if len(payload) != _OPEN.size + 3 * _ALGORITHM_BYTES:
        raise Malformed("no Open Session request")
    tag, privilege, console_id = _OPEN.unpack_from(payload)
    found = [_ALGORITHM.unpack_from(payload, _OPEN.size + part * _ALGORITHM_BYTES) for part in range(3)]
    if [(kind, length) for kind, length, _ in found] != [(part, _ALGORITHM_BYTES) for part in range(3)]:
        raise Malformed("algorithms in no order")
    first, second, third = (number & 0x3F for _, _, number in found)
    return OpenRequest(tag, privilege & 0x0F, console_id, (first, second, third))


def read_rakp1(payload: bytes) -> Rakp1:
    """Read the first message of the handshake.

    Raises:
        Malformed: it is none.
    """
    if len(payload) < _RAKP1.size:
        raise Malformed("no RAKP message 1")
    tag, bmc_id, console_random, role, length = _RAKP1.unpack_from(payload)
    name = payload[_RAKP1.size :]
    if len(name) != length:
        raise Malformed("a name whose length is not true")
    return Rakp1(tag, bmc_id, console_random, role, name)


def read_rakp3(payload: bytes) -> Rakp3:
    """Read the third message of the handshake.

    Raises:
        Malformed: it is none.
    """
    if len(payload) < _RAKP3.size:
        raise Malformed("no RAKP message 3")
    tag, status, bmc_id = _RAKP3.unpack_from(payload)
    return Rakp3(tag, status, bmc_id, payload[_RAKP3.size :])


def rakp2(tag: int, console_id: int, bmc_random: bytes, guid: bytes, code: bytes) -> bytes:
    """The BMC's answer to RAKP message 1."""
    return _HEAD.pack(tag, Status.OK, console_id) + bmc_random + guid + code


def rakp4(tag: int, console_id: int, code: bytes) -> bytes:
    """The BMC's answer to RAKP message 3: the session is open."""
    return _HEAD.pack(tag, Status.OK, console_id) + code


def refused(tag: int, status: Status, console_id: int) -> bytes:
    """A RAKP message 2 or 4 that says no."""
    return _HEAD.pack(tag, status, console_id)


def _algorithms(numbers: tuple[int, int, int]) -> bytes:
    return b"".join(_ALGORITHM.pack(kind, _ALGORITHM_BYTES, number) for kind, number in enumerate(numbers))
