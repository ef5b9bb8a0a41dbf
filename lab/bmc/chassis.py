"""What a virtual BMC is wired to, the buttons of a machine; and what a rack needs of a BMC of any kind."""

from __future__ import annotations

import enum
from collections import Counter
from typing import TYPE_CHECKING, Protocol

from lab.holding import Hold

if TYPE_CHECKING:
    from lab.bmc.dice import Dice
    from lab.bmc.ledger import Ledger


class Button(enum.StrEnum):
    """What can be done to a machine's power; the values are the paths of a BMC of the `api` kind."""

    POWER_ON = "poweron"
    POWER_OFF = "poweroff"
    REBOOT = "reboot"
    PXE_BOOT = "pxeboot"


class BmcKind(enum.StrEnum):
    """How a virtual BMC is spoken to."""

    API = "api"
    REDFISH = "redfish"
    IPMI = "ipmi"


class Chassis(Protocol):
    """A machine as its BMC sees it. armed: whether its next boot is from the network, once; a boot makes it false."""

    armed: bool

    @property
    def powered_on(self) -> bool:
        """Whether the machine has power now."""

    def commanded(self, button: Button) -> None:
        """The BMC was told to press this button."""


class VirtualBmc(Protocol):
    """A virtual BMC of any kind.

    status_delay_s: latency that is added to every answer.
    """

    status_delay_s: float
    dice: Dice
    ledger: Ledger

    @property
    def host(self) -> str:
        """The address at which it listens; "" before `serve`."""

    @property
    def port(self) -> int:
        """The port; 0 before `serve`."""

    @property
    def calls(self) -> Counter[str]:
        """What it was asked for: those of the ledger."""

    async def serve(self, host: str, port: int = 0) -> int:
        """Listen; returns the port, a free one for port 0."""

    async def stop(self) -> None:
        """Stop listening, and forget what was told and not done yet."""

    def hold(self, button: Button, *, done: bool = False) -> Hold:
        """Hold such commands back: they have come in, and are not carried out yet. done: they are, but not answered."""

    def set_login(self, username: str, password: str) -> None:
        """Make this user, or give it this password."""
