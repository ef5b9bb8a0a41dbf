"""What is due on a machine that the operator removed: its teardown, and nothing else."""

from __future__ import annotations

from app.machine.facts import Standing
from app.machine.model import Machine, Operation, OperationName, Phase
from app.machine.sentences import Weighed, because, due

_REMOVED = "The machine was removed from Omni"


def weigh(standing: Standing) -> Weighed:
    """Teardown."""
    if standing.agent_accessible is None:
        return because(f"{_REMOVED}; it is not known yet whether the agent is accessible, so the teardown waits.")
    reboots = _reboots(standing)
    last = "It is rebooted into agent mode once, then our" if reboots else "Our"
    reason = f"{_REMOVED}. {last} records and our hold on it are removed."
    return due(Operation(OperationName.TEARDOWN, reason, cause=("removed",), pxe=reboots))


def _reboots(standing: Standing) -> bool:
    return (
        standing.bmc_configured
        and standing.machine.machine_status is not None
        and standing.agent_accessible is False
        and standing.powered_on is not False
        and not _begun(standing.machine)
    )


def _begun(machine: Machine) -> bool:
    """A record of ours is already on its way out, so the reboot was done before."""
    records = (
        machine.bmc_configuration,
        machine.machine_status,
        machine.power_operation,
        machine.reboot_status,
        machine.wipe_status,
    )
    return any(record is not None and record.meta.phase is Phase.TEARING_DOWN for record in records)
