"""What our records of a machine should say now: pure functions; None = leave them alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from app.machine.model import Decision, InfraMachineStatus, Machine, MachineStatus, Phase, PowerState
from app.state.facts import Notes

OMNI_PREFIX = "omni.sidero.dev/"
COPIED_LABELS = tuple(OMNI_PREFIX + name for name in ("cluster", "machine-set", "role-controlplane", "role-worker"))


@dataclass(frozen=True, slots=True)
class StatusReport:
    """An InfraMachineStatus to write."""

    status: InfraMachineStatus
    labels: Mapping[str, str]


def machine_status(machine: Machine, notes: Notes) -> MachineStatus | None:
    """Our MachineStatus as it should be; a fact that is not known leaves its field as it is."""
    before, facts = machine.machine_status, machine.facts
    if machine.infra_machine and machine.infra_machine.meta.phase is Phase.TEARING_DOWN:
        return None
    if before is not None and before.meta.phase is Phase.TEARING_DOWN:
        return None
    if before is None and not notes.tunnel and not notes.booted_ms:
        return None
    status = before or MachineStatus()
    if facts.agent_accessible is not None:
        status = replace(status, agent_accessible=facts.agent_accessible)
    if notes.power is PowerState.UNKNOWN:
        status = replace(status, power_state=PowerState.UNKNOWN)
    elif facts.powered_on is not None:
        status = replace(status, power_state=PowerState.ON if facts.powered_on else PowerState.OFF)
    status = replace(status, initialized=status.initialized or bool(notes.booted_ms))
    return None if before is not None and status == before else status


def infra_machine_status(machine: Machine, decision: Decision, own_labels: Mapping[str, str]) -> StatusReport | None:
    """The InfraMachineStatus as it should be; a field whose record is absent keeps its value.

    own_labels: all that are neither Omni's nor copied from the InfraMachine.
    """
    infra_machine, before = machine.infra_machine, machine.infra_machine_status
    if infra_machine is None or decision.gate is not None or infra_machine.meta.phase is Phase.TEARING_DOWN:
        return None
    if before is not None and before.meta.phase is Phase.TEARING_DOWN:
        return None
    status = before or InfraMachineStatus()
    after = replace(status, ready_to_use=decision.ready_to_use, installed=decision.installed)
    if machine.machine_status:
        after = replace(after, power_state=machine.machine_status.power_state)
    if machine.reboot_status:
        after = replace(
            after,
            last_reboot_id=machine.reboot_status.last_reboot_id,
            last_reboot_timestamp=machine.reboot_status.last_reboot_timestamp,
        )
    if machine.wipe_status:
        after = replace(after, wiped_node_unique_token=machine.wipe_status.wiped_node_unique_token)
    if machine.power_operation:
        acknowledged = machine.power_operation.last_power_off_id if decision.power_off_active else ""
        after = replace(after, last_power_off_id=acknowledged)
    labels = status_labels(status.meta.labels, infra_machine.meta.labels, own_labels)
    if before is not None and after == before and labels == dict(before.meta.labels):
        return None
    return StatusReport(after, labels)


def status_labels(
    before: Mapping[str, str], infra_machine: Mapping[str, str], own_labels: Mapping[str, str]
) -> dict[str, str]:
    """Omni's own labels stay, the cluster's are copied from the InfraMachine, all others are ours."""
    labels = {k: v for k, v in before.items() if k.startswith(OMNI_PREFIX) and k not in COPIED_LABELS}
    labels |= {k: infra_machine[k] for k in COPIED_LABELS if k in infra_machine}
    return labels | dict(own_labels)
