"""Who asks: its architecture, its vendor class, and whether it is iPXE already."""

from __future__ import annotations

from typing import Final

from netboot.dhcp.firmware import FIRMWARES, Firmware
from netboot.dhcp.options import suboptions
from netboot.dhcp.request import ARCHITECTURE, IPXE_FEATURES, MACHINE_ID, USER_CLASS, VENDOR_CLASS, Request
from netboot.dhcp.verdict import NotAnsweredError, Reason
from netboot.shown import shown

_PXE: Final = b"PXEClient"
_HTTP: Final = b"HTTPClient"
_IPXE: Final = b"iPXE"
# Sub-option of option 175 by which iPXE says that it can fetch by HTTP.
_HTTP_FEATURE: Final = 19
# A client machine id is a UUID, with its type before it.
_MACHINE_ID_BYTES: Final = 17
_UUID_TYPE: Final = 0
# A value of an option ends here; a longer one can come in parts, which firmware need not understand.
_LONGEST_VALUE: Final = 255
# Enough to know a client by.
_LONGEST_SHOWN: Final = 60


def architecture_of(request: Request) -> int:
    """The last of its architectures that is known. Raises NotAnsweredError where there is none."""
    value = request.options.get(ARCHITECTURE)
    if value is None:
        raise NotAnsweredError(Reason.NO_BOOT_CLIENT)
    if not value or len(value) % 2:
        raise NotAnsweredError(Reason.BAD_ARCHITECTURE, value.hex()[:_LONGEST_SHOWN])
    numbers = [int.from_bytes(value[at : at + 2], "big") for at in range(0, len(value), 2)]
    known = [number for number in numbers if number in FIRMWARES]
    if not known:
        raise NotAnsweredError(Reason.UNKNOWN_ARCHITECTURE, ", ".join(map(str, numbers))[:_LONGEST_SHOWN])
    return known[-1]


def vendor_class_for(request: Request, firmware: Firmware) -> bytes:
    """The vendor class of the answer: the client's own, without which EDK2 drops the offer.

    Raises NotAnsweredError where the client is no boot client by what it says.
    """
    plain = _HTTP if firmware.by_http else _PXE
    said = request.options.get(VENDOR_CLASS) or plain
    if not said.startswith((_PXE, _HTTP)):
        raise NotAnsweredError(Reason.OTHER_VENDOR, shown(said.decode("latin-1")))
    if len(said) > _LONGEST_VALUE:
        return _PXE if said.startswith(_PXE) else _HTTP
    return said


def machine_id_of(request: Request) -> bytes:
    """The client machine id; empty where there is none. Raises NotAnsweredError where it is malformed."""
    value = request.options.get(MACHINE_ID, b"")
    if value and (len(value) != _MACHINE_ID_BYTES or value[0] != _UUID_TYPE):
        raise NotAnsweredError(Reason.BAD_CLIENT_ID, value.hex()[:_LONGEST_SHOWN])
    return value


def is_ipxe(request: Request) -> bool:
    """Whether iPXE asks. It sends its user class bare; what follows RFC 3004 puts a length before each."""
    value = request.options.get(USER_CLASS, b"")
    return value == _IPXE or _IPXE in _classes(value)


def can_http(request: Request) -> bool:
    """Whether this iPXE says that it can fetch by HTTP."""
    return bool(suboptions(request.options.get(IPXE_FEATURES, b"")).get(_HTTP_FEATURE))


def _classes(value: bytes) -> list[bytes]:
    """The user classes of RFC 3004; none where a length does not fit."""
    found, at = [], 0
    while at < len(value):
        end = at + 1 + value[at]
        found.append(value[at + 1 : end])
        at = end
    return found if at == len(value) else []
