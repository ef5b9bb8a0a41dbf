"""The boot options of IPMI: what is sent to boot from the network once, and what the BMC shows of it."""

from __future__ import annotations

from typing import Final

SET_OPTIONS, GET_OPTIONS = 8, 9
# Parameter 3: keep the order also when no power command comes within 60 s.
KEEP: Final = bytes([3, 0x08])
# Some have no such parameter, or no such bit; the power command follows at once anyway.
NOT_KEPT: Final = frozenset({0x80, 0xC9, 0xCC})
# Parameter 5, the boot flags, of which there is one set only.
WHICH: Final = bytes([5, 0, 0])

_VALID, _FOR_GOOD, _EFI = 0x80, 0x40, 0x20
_NETWORK = 1 << 2
_DEVICE = 0x3C
_DEVICES: Final = {
    0: "no device",
    1: "the network",
    2: "the disk",
    3: "the disk in safe mode",
    4: "diagnostics",
    5: "a CD or DVD",
    6: "the setup",
    15: "a floppy or removable device",
}
_SHORTEST = 4


def once(mode: str) -> bytes:
    """The boot flags for the network, once. mode: `uefi` or `bios`."""
    return bytes([5, _VALID | (_EFI if mode == "uefi" else 0), _NETWORK, 0, 0, 0])


def difference(data: bytes, mode: str) -> str:
    """What the answer to Get System Boot Options shows other than `once(mode)`, in words; "" where it is the same."""
    if len(data) < _SHORTEST or data[1] & 0x7F != WHICH[0]:
        return "it answers with something else than boot flags"
    flags, device = data[2], (data[3] & _DEVICE) >> 2
    shows = []
    if data[1] & 0x80:
        shows.append("a parameter that is locked")
    if not flags & _VALID:
        shows.append("no order")
    if data[3] & _DEVICE != _NETWORK:
        shows.append(_DEVICES.get(device, f"device {device}"))
    if flags & _FOR_GOOD:
        shows.append("every boot instead of one")
    if bool(flags & _EFI) is not (mode == "uefi"):
        shows.append("UEFI" if flags & _EFI else "BIOS")
    return f"it shows {', '.join(shows)}" if shows else ""
