"""The IPMI message inside a packet: a request of a program to the BMC, and its answer. Pure. IPMI v2.0 §13.8."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final

from lab.bmc.ipmi.packets import Malformed

BMC_ADDRESS: Final = 0x20
SHORTEST_BYTES: Final = 7


class NetFn(enum.IntEnum):
    """Groups of commands that are known here; answers have the next number."""

    CHASSIS = 0x00
    APP = 0x06


class Completion(enum.IntEnum):
    """How a command ended (§5.2)."""

    DONE = 0x00
    PARAMETER_UNSUPPORTED = 0x80  # of the boot options
    LEVEL_UNAVAILABLE = 0x81  # of Set Session Privilege Level
    SESSION_UNKNOWN = 0x87  # of Close Session
    BUSY = 0xC0
    COMMAND_UNKNOWN = 0xC1
    LENGTH_WRONG = 0xC7
    DATA_WRONG = 0xCC
    PRIVILEGE_LACKING = 0xD4
    STATE_WRONG = 0xD5
    UNSPECIFIED = 0xFF


@dataclass(frozen=True, slots=True)
class Request:
    """What a program asks for. requester, sequence: its address and number; the answer repeats them with both luns."""

    netfn: int
    command: int
    data: bytes = b""
    sequence: int = 0
    requester: int = 0x81
    requester_lun: int = 0
    lun: int = 0

    @property
    def name(self) -> tuple[int, int]:
        """What tells the command from others."""
        return self.netfn, self.command

    def packed(self) -> bytes:
        """The bytes of the message."""
        head = bytes([BMC_ADDRESS, self.netfn << 2 | self.lun])
        body = bytes([self.requester, self.sequence << 2 | self.requester_lun, self.command]) + self.data
        return head + _checksum(head) + body + _checksum(body)

    def answer(self, completion: Completion, data: bytes = b"") -> bytes:
        """The bytes of the answer."""
        head = bytes([self.requester, (self.netfn | 1) << 2 | self.requester_lun])
        body = bytes([BMC_ADDRESS, self.sequence << 2 | self.lun, self.command, completion]) + data
        return head + _checksum(head) + body + _checksum(body)


def read_request(message: bytes) -> Request:
    """Read a message.

    Raises:
        Malformed: it is no request to the BMC, or was damaged.
    """
    if len(message) < SHORTEST_BYTES or message[0] != BMC_ADDRESS or message[1] >> 2 & 1:
        raise Malformed("no request to a BMC")
    if _checksum(message[:2]) != message[2:3] or _checksum(message[3:-1]) != message[-1:]:
        raise Malformed("a checksum that is not true")
    return Request(
        netfn=message[1] >> 2,
        lun=message[1] & 3,
        requester=message[3],
        sequence=message[4] >> 2,
        requester_lun=message[4] & 3,
        command=message[5],
        data=message[6:-1],
    )


def _checksum(data: bytes) -> bytes:
    """What makes the sum zero."""
    return bytes([-sum(data) & 0xFF])
