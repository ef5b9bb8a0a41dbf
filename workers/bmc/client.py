"""The protocol of all BMC kinds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from app.machine.model import PowerState
from workers.bmc.known import Known

# Called right before each command is sent, which others may have got the BMC before. Raises BmcInUse where it is not
# surely ours any more: then nothing is sent.
StillOurs = Callable[[], None]


def used_alone() -> None:
    """For who has the BMC to itself, as nobody else knows of it."""


class Bmc(Protocol):
    """One session with one BMC. Every method may raise a BmcError; none sends a command twice."""

    @property
    def known(self) -> Known:
        """What this session found out of the BMC, worth to be remembered for the next one."""

    def describe(self) -> Known:
        """Ask the BMC what it is, for a person who wants to know."""

    def power_state(self) -> PowerState:
        """Read the power state."""

    def power_on(self) -> None:
        """Power on."""

    def power_off(self) -> None:
        """Power off hard."""

    def reboot(self) -> None:
        """Power cycle or reset; never graceful."""

    def arm_pxe(self, mode: str) -> str:
        """Boot from the network once, and read that back. mode: `uefi` or `bios`.

        The answer is "" where it reads back so, else what the BMC shows instead, in words: some cannot show it.
        """

    def close(self) -> None:
        """End the session. Raises nothing: what was done was done."""
