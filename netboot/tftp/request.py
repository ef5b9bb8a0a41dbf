"""Judges a datagram that came to the TFTP port. Pure: whatever the bytes are, a verdict comes out.

Options are agreed to by a white list and within bounds, and what is not agreed to is left out of the answer, as
RFC 2347 has it: then the client goes on without. fbtftp itself sees nothing else of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from app.boot.ipxe.files import cleaned
from netboot.tftp.verdict import ErrorCode, Ignore, Mode, Opcode, Reason, Refuse, Send, Verdict

# RFC 2347: the maximum size of a request packet.
LONGEST_REQUEST: Final = 512
# RFC 2348: no client may ask for less.
LEAST_BLOCK: Final = 8
# What an Ethernet frame carries, less the headers of IP, UDP and TFTP: firmware does not put fragments together.
MOST_BLOCK: Final = 1468
# U-Boot asks for 5 s. With a longer one (RFC 2349 has up to 255) a lost packet would not be repeated before the client
# is taken for gone.
LONGEST_TIMEOUT_S: Final = 5
# More digits than any option's value needs; a longer number is not worth reading.
MOST_DIGITS: Final = 9

OPCODES: Final = frozenset(Opcode)


def judge(datagram: bytes, files: Mapping[str, bytes]) -> Verdict:
    """What is to be done with a datagram that belongs to no transfer.

    Args:
        datagram: its bytes; one longer than LONGEST_REQUEST may have been cut.
        files: what there is to send, by name.
    """
    if len(datagram) < 2:
        return Ignore(Reason.TOO_SHORT)
    match int.from_bytes(datagram[:2]):
        case Opcode.READ:
            return _judge_read(datagram, files)
        case Opcode.WRITE:
            return Refuse(ErrorCode.ACCESS_VIOLATION, Reason.READ_ONLY, _fields(datagram)[0])
        case Opcode.ERROR:
            return Ignore(Reason.ERROR)  # RFC 1350: never answered, or two servers could talk for ever
        case number if number in OPCODES:
            return Refuse(ErrorCode.UNKNOWN_TRANSFER, Reason.NO_TRANSFER)
        case _:
            return Refuse(ErrorCode.ILLEGAL_OPERATION, Reason.BAD_OPCODE)


def _judge_read(datagram: bytes, files: Mapping[str, bytes]) -> Verdict:
    asked, *rest = _fields(datagram)
    if len(datagram) > LONGEST_REQUEST:
        return Refuse(ErrorCode.ILLEGAL_OPERATION, Reason.TOO_LONG, asked)
    if not rest:
        return Refuse(ErrorCode.ILLEGAL_OPERATION, Reason.NO_MODE, asked)
    mode = rest[0].lower()
    if mode not in (Mode.OCTET, Mode.NETASCII):
        return Refuse(ErrorCode.ILLEGAL_OPERATION, Reason.BAD_MODE, asked)
    name = cleaned(asked)
    if name not in files:
        return Refuse(ErrorCode.NOT_FOUND, Reason.NOT_FOUND, asked)
    return Send(name, Mode(mode), _agreed(rest[1:]))


def _fields(datagram: bytes) -> list[str]:
    """The texts of a request: name, mode, options and values in turn. Some firmware fills up with zero bytes."""
    return datagram[2:].rstrip(b"\0").decode("latin-1").split("\0")


def _agreed(words: list[str]) -> tuple[tuple[str, str], ...]:
    """The options that are agreed to, with our values; of a repeated one the first."""
    found: dict[str, str] = {}
    for option, wanted in zip(words[::2], words[1::2], strict=False):
        ours = _ours(option.lower(), wanted)
        if ours is not None:
            found.setdefault(option.lower(), ours)
    return tuple(found.items())


def _ours(option: str, wanted: str) -> str | None:
    if not wanted.isdecimal() or len(wanted) > MOST_DIGITS:
        return None
    number = int(wanted)
    match option:
        case "blksize" if number >= LEAST_BLOCK:
            return str(min(number, MOST_BLOCK))
        case "timeout" if 1 <= number <= LONGEST_TIMEOUT_S:
            return str(number)  # RFC 2349: it must be the client's own
        case "tsize":
            return wanted  # fbtftp puts the size of the file in its place
        case _:
            return None
