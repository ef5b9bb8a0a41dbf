"""What a virtual BMC is wired to: the buttons of a machine."""

from __future__ import annotations

import enum
from typing import Protocol


class Button(enum.StrEnum):
    """What can be done to a machine's power; the values are the paths of a BMC of the `api` kind."""

    POWER_ON = "poweron"
    POWER_OFF = "poweroff"
    REBOOT = "reboot"
    PXE_BOOT = "pxeboot"


class Chassis(Protocol):
    """A machine as its BMC sees it."""

    @property
    def powered_on(self) -> bool:
        """Whether the machine has power now."""

    def commanded(self, button: Button) -> None:
        """The BMC was told to press this button."""
