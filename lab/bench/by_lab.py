"""Measure a run in the lab: the stand-ins run in this very process, so it is no judge, but it needs nothing else."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from app.machine.model import PowerState
from app.omni.kinds import Kind
from lab.bench.figures import OURS, Figures
from lab.bench.processes import cpu_s, family, pss_mb
from lab.machine import VirtualMachine
from lab.ports import free_port
from lab.product import Product
from lab.rack import Rack, RackOptions

LOOK_S: Final = 0.05
LIMIT_S: Final = 600.0  # the Go provider needs less for a thousand machines
SWEEP_LIMIT_S: Final = 60.0  # two intervals


async def measure(machines: int) -> Figures:
    """One run with so many machines. Raises TimeoutError, `lab.product.ProductError`."""
    with tempfile.TemporaryDirectory(prefix="omni-metal-bench-") as name:
        folder = Path(name)
        options = RackOptions(machines, wipe_s=2.0, boot_s=0.5, status_delay_s=0.1, provider_port=free_port())
        async with Rack(options) as rack:
            product = _product(rack, folder)
            try:
                await product.start()
                await product.wait_up()
                return await _measure(rack, product)
            finally:
                await product.stop()


def _product(rack: Rack, folder: Path) -> Product:
    arguments = [
        *rack.provider_options(),
        f"--state-dir={folder}",
        f"--gateway-listen=127.0.0.1:{free_port()}",
        "--min-reboot-interval=15m",
        f"--flower-listen=127.0.0.1:{free_port()}",
    ]
    return Product(arguments, rack.provider_url, folder / "provider.log", rack.provider_environ())


async def _measure(rack: Rack, product: Product) -> Figures:
    rack.power_on()
    await _until_all(rack, lambda m: _field(rack, Kind.MACHINE_STATUS, m, "agent_accessible"), "in agent mode")
    began_s = time.monotonic()
    for machine in rack.machines:
        rack.omni.accept(machine.id)
    ready, off, reported = await asyncio.gather(
        _until_all(rack, lambda m: _field(rack, Kind.INFRA_MACHINE_STATUS, m, "ready_to_use"), "ready"),
        _until_all(rack, lambda m: not m.powered_on, "off"),
        _until_all(
            rack,
            lambda m: _field(rack, Kind.INFRA_MACHINE_STATUS, m, "power_state") == PowerState.OFF,
            "reported as off",
        ),
    )
    calls = sum(rack.omni.calls.values()) / len(rack.machines)
    pids = family(product.pid)
    used = (pss_mb(pids), cpu_s(pids))
    times = (ready - began_s, off - began_s, reported - began_s)
    return Figures(OURS, len(rack.machines), *times, await _sweep_s(rack), calls, *used)


async def _until_all(rack: Rack, holds: Callable[[VirtualMachine], object], what: str) -> float:
    """Wait until something holds of every machine; the answer is when (monotonic seconds)."""
    left, deadline_s = list(rack.machines), time.monotonic() + LIMIT_S
    while left := [machine for machine in left if not holds(machine)]:
        if time.monotonic() > deadline_s:
            raise TimeoutError(f"{len(left)} machines are not {what} after {LIMIT_S:g} s")
        await asyncio.sleep(LOOK_S)
    return time.monotonic()


async def _sweep_s(rack: Rack) -> float | None:
    """How long the next sweep takes, from its first question to its last answer; None where none comes."""
    asked = {machine.id: machine.bmc.calls["status"] for machine in rack.machines}
    deadline_s = time.monotonic() + SWEEP_LIMIT_S
    began_s = 0.0
    while left := [m for m in rack.machines if m.bmc.calls["status"] == asked[m.id]]:
        if time.monotonic() > deadline_s:
            return None
        if not began_s and len(left) < len(rack.machines):
            began_s = time.monotonic()
        await asyncio.sleep(LOOK_S / 5)
    return time.monotonic() - (began_s or time.monotonic()) + rack.options.status_delay_s


def _field(rack: Rack, kind: Kind, machine: VirtualMachine, name: str) -> object:
    resource = rack.omni.get(kind, machine.id)
    return None if resource is None else getattr(resource.spec, name)
