"""What a machine is found by: pure functions of its view, for the API and the pages alike."""

from __future__ import annotations

from app.machine.model import Machine
from app.state.view import MachineView


def talos(machine: Machine) -> str:
    """The version of Talos that its cluster wants of it; "" where it is in none."""
    return machine.infra_machine.cluster_talos_version if machine.infra_machine else ""


def cluster(machine: Machine) -> str:
    """The name of the cluster that it is in, as far as Omni's labels tell."""
    return labels(machine).get("omni.sidero.dev/cluster", "") if talos(machine) else ""


def bmc_address(machine: Machine) -> str:
    """Where its BMC is; "" where that is not known."""
    found = machine.bmc_configuration
    if found is None:
        return ""
    if found.api_address is not None:
        return found.api_address
    return f"{found.ipmi.address}:{found.ipmi.port}" if found.ipmi else ""


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
    said = (machine.id, view.mac, view.mac.replace("-", ":"), view.serial, bmc_address(machine), talos(machine))
    return any(wanted in words.lower() for words in said) or any(
        wanted in f"{key}={value}".lower() for key, value in labels(machine).items()
    )
