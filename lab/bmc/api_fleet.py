"""Many virtual BMCs of the `api` kind: `python -m lab.bmc.api_fleet`."""

from __future__ import annotations

import sys
from typing import Final

from lab.bmc.api import VirtualApiBmc
from lab.bmc.fleet import FleetKind, main
from lab.bmc.silence import SilentTcp

PORT: Final = 8080
KIND: Final = FleetKind("python -m lab.bmc.api_fleet", PORT, VirtualApiBmc, SilentTcp)

if __name__ == "__main__":
    sys.exit(main(KIND))
