"""`python -m lab.bmc.ipmi`: many IPMI BMCs in a process of their own."""

from __future__ import annotations

import sys

from lab.bmc import silence
from lab.bmc.fleet import FleetKind, main
from lab.bmc.ipmi.server import VirtualIpmiBmc

if __name__ == "__main__":
    sys.exit(main(FleetKind("python -m lab.bmc.ipmi", 6230, VirtualIpmiBmc, silence.udp)))
