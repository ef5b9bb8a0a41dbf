"""What comes of a datagram at the TFTP port: a file, an error, or nothing."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Final

_HEADER: Final = struct.Struct("!HH")


class Opcode(IntEnum):
    """Kinds of TFTP packets: RFC 1350, RFC 2347."""

    READ = 1
    WRITE = 2
    DATA = 3
    ACK = 4
    ERROR = 5
    OPTIONS_ACK = 6


class ErrorCode(IntEnum):
    """Codes of an ERROR packet that are sent."""

    NOT_FOUND = 1
    ACCESS_VIOLATION = 2
    ILLEGAL_OPERATION = 4
    UNKNOWN_TRANSFER = 5


class Reason(StrEnum):
    """Why no file goes out. The client is told the same words where it is told anything."""

    NOT_FOUND = "file not found"
    READ_ONLY = "this server is read only"
    TOO_LONG = "request longer than 512 bytes"
    NO_MODE = "request without mode"
    BAD_MODE = "mode is neither octet nor netascii"
    BAD_OPCODE = "unknown operation"
    NO_TRANSFER = "no such transfer"
    TOO_SHORT = "too short for TFTP"
    ERROR = "an error needs no answer"


class Mode(StrEnum):
    """How the bytes of a file are written on the wire."""

    OCTET = "octet"
    NETASCII = "netascii"


@dataclass(frozen=True, slots=True)
class Send:
    """A file is to go out.

    name: as the files have it.
    options: those that are agreed to, with our values, in the client's order.
    """

    name: str
    mode: Mode
    options: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Refuse:
    """An ERROR is to go out. asked: the name that was asked for, as the client wrote it."""

    code: ErrorCode
    reason: Reason
    asked: str = ""

    @property
    def packet(self) -> bytes:
        """The ERROR packet."""
        return error_packet(self.code, self.reason)


@dataclass(frozen=True, slots=True)
class Ignore:
    """Nothing is to go out."""

    reason: Reason


Verdict = Send | Refuse | Ignore


def error_packet(code: ErrorCode, words: str) -> bytes:
    """An ERROR packet; `words` are ASCII."""
    return _HEADER.pack(Opcode.ERROR, code) + words.encode("ascii") + b"\0"
