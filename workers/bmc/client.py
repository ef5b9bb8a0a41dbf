"""The protocol of all BMC kinds."""

from __future__ import annotations

from typing import Protocol

from app.machine.model import PowerState
from workers.bmc.known import Known


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
