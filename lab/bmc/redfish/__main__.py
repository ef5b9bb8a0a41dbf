"""`python -m lab.bmc.redfish`: many Redfish BMCs in a process of their own, with one certificate for all."""

from __future__ import annotations

import sys

from lab.bmc.dice import Dice
from lab.bmc.fleet import FleetKind, FleetMachine, main
from lab.bmc.ledger import Ledger
from lab.bmc.redfish.server import VirtualRedfishBmc
from lab.bmc.silence import SilentTcp
from lab.omni.certificates import make_certificate


def kind() -> FleetKind:
    """Redfish over TLS."""
    certificate = make_certificate("redfish.lab")

    def make(machine: FleetMachine, dice: Dice, ledger: Ledger) -> VirtualRedfishBmc:
        return VirtualRedfishBmc(machine, machine.machine_id, dice, ledger, certificate)

    return FleetKind("python -m lab.bmc.redfish", 8443, make, SilentTcp)


if __name__ == "__main__":
    sys.exit(main(kind()))
