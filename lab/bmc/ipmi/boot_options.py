"""What the machine boots from next, as IPMI has it in its System Boot Options. IPMI v2.0 §28.12 and §28.13."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from lab.bmc.chassis import Button, Chassis

VERSION: Final = 1  # of the parameters
SET_IN_PROGRESS: Final = 0
FLAG_VALID_CLEARING: Final = 3
INITIATOR_ACKNOWLEDGED: Final = 4
BOOT_FLAGS: Final = 5
PARAMETERS: Final[Mapping[int, int]] = {
    SET_IN_PROGRESS: 1,
    FLAG_VALID_CLEARING: 1,
    INITIATOR_ACKNOWLEDGED: 2,
    BOOT_FLAGS: 5,
}
"""Those that are known here, with how many bytes each has."""

VALID: Final = 0x80
PERSISTENT: Final = 0x40
_DEVICE: Final = 0x3C
_NETWORK: Final = 0x04


class BootOptions:
    """The parameters of one BMC. Only an order to boot from the network means anything to the chassis.

    An order that persists arms every boot that the BMC itself brings about. The valid bit, which BMCs take back after
    60 s without a power command unless they are told not to, stays here: a chassis cannot tell who armed it.
    """

    def __init__(self, chassis: Chassis) -> None:
        self._chassis = chassis
        self._kept = {parameter: bytes(length) for parameter, length in PARAMETERS.items()}

    def read(self, parameter: int) -> bytes:
        """The value of a parameter that is known here."""
        kept = self._kept[parameter]
        over = parameter == BOOT_FLAGS and orders_network(kept) and not self._persists and not self._chassis.armed
        return _no_more(kept) if over else kept

    def write(self, parameter: int, value: bytes, press: Callable[[Button], None]) -> None:
        """Set a parameter that is known here, to as many bytes as it has. press: how a button is pressed."""
        self._kept[parameter] = value
        if parameter != BOOT_FLAGS:
            return
        if orders_network(value):
            press(Button.PXE_BOOT)
        else:
            self._chassis.armed = False

    def boots(self) -> None:
        """The BMC is about to boot the machine: an order that persists holds for this boot too."""
        if orders_network(self._kept[BOOT_FLAGS]) and self._persists:
            self._chassis.armed = True

    def booted(self) -> None:
        """The BMC has booted the machine."""
        if not self._persists:
            self._kept[BOOT_FLAGS] = _no_more(self._kept[BOOT_FLAGS])

    @property
    def _persists(self) -> bool:
        return bool(self._kept[BOOT_FLAGS][0] & PERSISTENT)


def orders_network(flags: bytes) -> bool:
    """Whether these boot flags order to boot from the network."""
    return len(flags) == PARAMETERS[BOOT_FLAGS] and bool(flags[0] & VALID) and flags[1] & _DEVICE == _NETWORK


def _no_more(flags: bytes) -> bytes:
    return bytes([flags[0] & ~VALID]) + flags[1:]
