"""The options of a DHCP packet, read from its bytes.

scapy's own reading goes on behind the end mark, knows nothing of options in `file` and `sname` (RFC 2132, option 52)
and does not join an option that comes in parts (RFC 3396). Firmware and relays do all of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

COOKIE: Final = b"\x63\x82\x53\x63"
SNAME: Final = slice(44, 108)
FILE: Final = slice(108, 236)
OPTIONS_AT: Final = 240

_PAD: Final = 0
_END: Final = 255
_OVERLOAD: Final = 52
# What option 52 says: which of the two fields hold options too.
_FILE_BIT: Final = 1
_SNAME_BIT: Final = 2


def options_of(packet: bytes) -> dict[int, bytes]:
    """All options by their number, the parts of one joined in the order of RFC 3396: options, file, sname.

    packet: a whole BOOTP packet with its cookie.
    """
    found: dict[int, bytes] = {}
    _gather(packet[OPTIONS_AT:], found)
    overload = found.get(_OVERLOAD, b"")
    where = overload[0] if len(overload) == 1 else 0
    if where & _FILE_BIT:
        _gather(packet[FILE], found)
    if where & _SNAME_BIT:
        _gather(packet[SNAME], found)
    return found


def suboptions(value: bytes) -> dict[int, bytes]:
    """What an encapsulating option holds."""
    found: dict[int, bytes] = {}
    _gather(value, found)
    return found


def _gather(data: bytes, found: dict[int, bytes]) -> None:
    for number, value in _each(data):
        found[number] = found.get(number, b"") + value


def _each(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Number and value of each option up to the end mark, or to the first that is broken."""
    at = 0
    while at < len(data) and data[at] != _END:
        if data[at] == _PAD:
            at += 1
            continue
        value = data[at + 2 : at + 2 + data[at + 1]] if at + 1 < len(data) else None
        if value is None or len(value) < data[at + 1]:
            return
        yield data[at], value
        at += 2 + len(value)
