"""A fleet of virtual BMCs in a process of its own, as the bench of BMCs sees it.

with BmcFleet(API, machines=1000) as fleet:
    fleet.addresses  # of all, the silent ones too
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

from app.machine.model import BmcConfiguration, Ipmi
from lab.bench.fleet import AGENT_USER, PASSWORD
from lab.bmc.fleet import machine_id
from lab.ports import free_port
from lab.product import ProductError, child_environment

# A thousand sockets are open within seconds; a thousand certificates take longer.
UP_LIMIT_S: Final = 60.0
STOP_LIMIT_S: Final = 30.0
IPMI_PORT: Final = 623
# As long as a BMC of the better kind takes.
LATENCY_S: Final = 0.1
SILENT: Final = 0.05


@dataclass(frozen=True, slots=True)
class FleetProgram:
    """How to start the BMCs of a kind. limit_s: within which one sweep of the living has to be done."""

    name: str
    module: str
    limit_s: float


API: Final = FleetProgram("API", "lab.bmc.api_fleet", 5.0)
IPMI: Final = FleetProgram("IPMI", "lab.bmc.ipmi", 15.0)
REDFISH: Final = FleetProgram("Redfish", "lab.bmc.redfish", 30.0)


@dataclass(frozen=True, slots=True)
class Press:
    """A button that a BMC was told to press, in monotonic seconds. came_s: when the session began in which it was."""

    button: str
    came_s: float
    at_s: float


class BmcFleet:
    """The BMCs of machines 0, 1, …: each has an address of its own, and all have the same port."""

    def __init__(self, program: FleetProgram, machines: int) -> None:
        self.program = program
        self.port = 0
        self.silent: set[str] = set()
        self.addresses: dict[str, str] = {}
        self.pressed: dict[str, list[Press]] = {}
        self.counts: Mapping[str, Any] = {}
        self._machines = machines
        self._process: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None

    def __enter__(self) -> Self:
        self.port = free_port()
        command = [
            *(sys.executable, "-m", "lab.tether", str(os.getpid())),
            *(sys.executable, "-m", self.program.module, "--tell-presses"),
            *(f"--machines={self._machines}", f"--port={self.port}", f"--latency-s={LATENCY_S}", f"--silent={SILENT}"),
            *(f"--username={AGENT_USER}", f"--password={PASSWORD}"),
        ]
        self._process = subprocess.Popen(  # noqa: S603 - a program of our own choice
            command, env=child_environment(os.environ), stdout=subprocess.PIPE, text=True
        )
        try:
            self._note_places()
        except BaseException:
            self._process.kill()
            self._process.wait()
            raise
        self._reader = threading.Thread(target=self._read, name="fleet", daemon=True)
        self._reader.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End it; what it counted stands in `counts` then."""
        if self._process is None or self._reader is None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_LIMIT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join()

    @property
    def pid(self) -> int:
        """Its process."""
        return self._process.pid if self._process else 0

    @property
    def living(self) -> list[str]:
        """The machines whose BMCs answer."""
        return [machine for machine, address in self.addresses.items() if address not in self.silent]

    def configuration(self, machine: str) -> BmcConfiguration:
        """Address and login of a machine's BMC."""
        address = self.addresses[machine]
        if self.program is API:
            return BmcConfiguration(api_address=f"{address}:{self.port}")
        port = self.port if self.program is IPMI else IPMI_PORT
        return BmcConfiguration(ipmi=Ipmi(address, port, AGENT_USER, PASSWORD))

    def _note_places(self) -> None:
        """Raises ProductError: it has not come up."""
        said = _first_line(self._process) if self._process else ""
        try:
            where = json.loads(said)
        except ValueError:
            raise ProductError(f"{self.program.module} did not come up: {said!r}") from None
        self.silent = set(where["silent"])
        places = sorted([*where["addresses"], *where["silent"]], key=lambda a: [int(part) for part in a.split(".")])
        self.addresses = {machine_id(index): address for index, address in enumerate(places)}

    def _read(self) -> None:
        for line in self._process.stdout if self._process and self._process.stdout else ():
            said = json.loads(line)
            if "pressed" in said:
                press = Press(said["pressed"], said["came_s"], said["at_s"])
                self.pressed.setdefault(said["machine_id"], []).append(press)
            else:
                self.counts = said


def _first_line(process: subprocess.Popen[str]) -> str:
    """What it says first; "" where it ends, or is ended after the limit."""
    timer = threading.Timer(UP_LIMIT_S, process.kill)
    timer.start()
    try:
        return process.stdout.readline() if process.stdout else ""
    finally:
        timer.cancel()
