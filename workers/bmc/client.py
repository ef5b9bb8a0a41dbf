"""The protocol of all BMC kinds, and the choice of the kind."""

from __future__ import annotations

from typing import Protocol

from app.machine.model import BmcConfiguration, PowerState
from workers.bmc.api import ApiBmc
from workers.bmc.errors import BmcUnsupported


class Bmc(Protocol):
    """One session with one BMC. Every method may raise a BmcError; none sends a command twice."""

    def power_state(self) -> PowerState:
        """Read the power state."""

    def power_on(self) -> None:
        """Power on."""

    def power_off(self) -> None:
        """Power off hard."""

    def reboot(self) -> None:
        """Power cycle or reset; never graceful."""

    def arm_pxe(self, mode: str) -> None:
        """Boot from the network once. mode: `uefi` or `bios`."""

    def close(self) -> None:
        """End the session."""


def open_bmc(configuration: BmcConfiguration) -> Bmc:
    """A session with the BMC of this configuration; `api` is used where there is also `ipmi`."""
    if configuration.api_address:
        return ApiBmc(configuration.api_address)
    raise BmcUnsupported("IPMI and Redfish are not in this version; only BMCs of the api kind are", executed=False)
