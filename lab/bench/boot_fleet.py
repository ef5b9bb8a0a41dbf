"""Machines that boot in the bench of boots: half of a storm is known to Omni, half boots for the first time."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Final
from urllib.parse import urlencode

from app.machine.model import BmcConfiguration, PreferredPowerState
from lab.bench.fleet import machine_ids, put_machine
from lab.omni import StandInOmni

VERSIONS: Final = ("1.13.7", "1.13.2", "1.12.6", "1.12.1", "1.11.5")
# Each of these is a schematic of its own, and together with two texts of kernel arguments there are 50.
EXTENSIONS: Final = tuple(
    (f"siderolabs/{first}", f"siderolabs/{second}")
    for first in ("gvisor", "iscsi-tools", "qemu-guest-agent", "util-linux-tools", "nvidia-container-toolkit")
    for second in ("drbd", "zfs", "btrfs", "mdadm", "nut-client")
)
KERNEL_ARGUMENTS: Final = ("", "net.ifnames=0 talos.dashboard.disabled=1")
_STRANGERS: Final = uuid.UUID("57a4e000-0000-4000-8000-000000000000").int


def put_fleet(machines: int, omni: StandInOmni, api_bmc: str) -> list[str]:
    """Put so many accepted machines into Omni, every other one of them into a cluster; the answer is their ids."""
    ids = machine_ids(machines)
    for number, machine_id in enumerate(ids):
        put_machine(machine_id, omni, BmcConfiguration(api_address=api_bmc))
        omni.set_preferred_power(machine_id, PreferredPowerState.ON)  # as the BMC says: nothing is due
        if number % 2:
            allocated = number // 2
            extensions = EXTENSIONS[allocated % len(EXTENSIONS)]
            omni.allocate(machine_id, VERSIONS[allocated % len(VERSIONS)], extensions)
            omni.set_kernel_args(machine_id, KERNEL_ARGUMENTS[allocated // len(EXTENSIONS) % len(KERNEL_ARGUMENTS)])
    return ids


def strangers(count: int) -> list[str]:
    """Machines that Omni does not know."""
    return [str(uuid.UUID(int=_STRANGERS + number)) for number in range(count)]


def boot_paths(ids: Sequence[str]) -> list[str]:
    """What iPXE on these machines asks for."""
    return [f"/ipxe/boot.ipxe?{urlencode(_query(number, machine_id))}" for number, machine_id in enumerate(ids)]


def _query(number: int, machine_id: str) -> dict[str, str]:
    return {
        "uuid": machine_id,
        "mac": f"02-00-00-{number >> 16 & 255:02x}-{number >> 8 & 255:02x}-{number & 255:02x}",
        "domain": "rack.lab",
        "hostname": "",
        "serial": f"BENCH{number:06d}",
        "arch": "x86_64",
    }
