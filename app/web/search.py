"""What a machine is found by: pure functions of its view, for the API and the pages alike."""

from __future__ import annotations

from app.machine.model import Machine
from app.state.view import MachineView


def cluster(machine: Machine) -> str:
    """The cluster that it is in, as far as Omni's labels tell."""
    wish = machine.infra_machine
    if wish is None or not wish.cluster_talos_version:
        return ""
    name = wish.meta.labels.get("omni.sidero.dev/cluster", "")
    return f"{name} ({wish.cluster_talos_version})" if name else wish.cluster_talos_version


def bmc(machine: Machine) -> str:
    """Where its BMC is and how it is spoken to."""
    found = machine.bmc_configuration
    if found is None:
        return "not set up"
    if found.api_address is not None:
        return f"api {found.api_address}"
    return f"ipmi {found.ipmi.address}:{found.ipmi.port}" if found.ipmi else "unknown"


def labels(machine: Machine) -> dict[str, str]:
    """The labels of the machine in Omni, ours among them."""
    status = machine.infra_machine_status.meta.labels if machine.infra_machine_status else {}
    wanted = machine.infra_machine.meta.labels if machine.infra_machine else {}
    return {**status, **wanted}


def matches(view: MachineView, phase: str, text: str) -> bool:
    """Whether a machine passes the filters. text: part of its id, MAC, serial, BMC's address, cluster or a label."""
    if phase and view.phase != phase:
        return False
    wanted = text.strip().lower()
    if not wanted:
        return True
    machine = view.machine
    said = (machine.id, view.mac, view.mac.replace("-", ":"), view.serial, bmc(machine), cluster(machine))
    return any(wanted in words.lower() for words in said) or any(
        wanted in f"{key}={value}".lower() for key, value in labels(machine).items()
    )
