"""The files in which a rack tells the provider where its API BMCs are (`--api-power-mgmt-state-dir`)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from lab.machine import VirtualMachine


def write_state_files(folder: Path, machines: Sequence[VirtualMachine]) -> None:
    """Write one file for each machine with such a BMC; the two layouts that are in use take turns."""
    folder.mkdir(parents=True, exist_ok=True)
    for left_over in folder.glob("machine-*.config"):
        left_over.unlink()
    for index, machine in enumerate(machine for machine in machines if machine.ipmi is None):
        layout = _new_layout if index % 2 == 0 else _old_layout
        text = json.dumps(layout(machine.id, machine.bmc.host, machine.bmc.port))
        (folder / f"machine-{index:06d}.config").write_text(text, encoding="utf-8")


def _new_layout(machine_id: str, host: str, port: int) -> dict[str, object]:
    return {
        "NodeUUID": machine_id,
        "Network": {"GatewayAddrs": [host]},
        "APIBindAddress": {"IP": host, "Port": port, "Zone": ""},
    }


def _old_layout(machine_id: str, host: str, port: int) -> dict[str, object]:
    return {"NodeUUID": machine_id, "GatewayAddrs": [host], "APIPort": port}
