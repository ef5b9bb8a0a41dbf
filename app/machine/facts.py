"""What follows from a machine's resources: pure functions of its picture (docs/behaviour.md, derived facts)."""

from __future__ import annotations

from dataclasses import dataclass

from app.machine.model import Acceptance, BootMode, Gate, InfraMachine, Machine, Phase


def tearing_down(machine: Machine) -> bool:
    """The operator removed the machine."""
    return machine.infra_machine is not None and machine.infra_machine.meta.phase is Phase.TEARING_DOWN


def allocated(machine: Machine) -> bool:
    """The machine is in a cluster."""
    return machine.infra_machine is not None and bool(machine.infra_machine.cluster_talos_version)


def installed(machine: Machine) -> bool:
    """Talos was installed on its disks since they were last wiped."""
    if machine.infra_machine is None:
        return False
    wiped_at = machine.wipe_status.last_wipe_install_event_id if machine.wipe_status else 0
    return machine.infra_machine.install_event_id > wiped_at


def requires_wipe(machine: Machine) -> bool:
    """Its disks hold what nobody may boot or read any more, as far as our record says."""
    infra_machine, status = machine.infra_machine, machine.wipe_status
    if infra_machine is None or status is None or not status.initial_wipe_done:
        return True
    return infra_machine.wipe_id != status.last_wipe_id


def record_lost(machine: Machine) -> bool:
    """We wiped it once and have lost the record of it; whoever builds the picture has asked Omni for the record."""
    status = machine.infra_machine_status
    if machine.infra_machine is None or tearing_down(machine) or machine.wipe_status is not None or status is None:
        return False
    return status.ready_to_use or bool(status.wiped_node_unique_token)


def accepted(machine: Machine) -> bool:
    """The operator accepted it."""
    return machine.infra_machine is not None and machine.infra_machine.acceptance_status is Acceptance.ACCEPTED


def rejected(machine: Machine) -> bool:
    """The operator rejected it."""
    return machine.infra_machine is not None and machine.infra_machine.acceptance_status is Acceptance.REJECTED


def gate(machine: Machine) -> Gate | None:
    """The first gate that holds; none while the machine is being removed."""
    if tearing_down(machine):
        return None
    if rejected(machine):
        return Gate.REJECTED
    if machine.infra_machine is None or not accepted(machine):
        return Gate.NOT_ACCEPTED
    if machine.infra_machine.cordoned:
        return Gate.CORDONED
    return Gate.RECORD_LOST if record_lost(machine) else None


def boot_mode(machine: Machine) -> BootMode:
    """What the machine should boot into."""
    if rejected(machine) or record_lost(machine):
        return BootMode.TALOS_DISK
    not_for_talos = (
        tearing_down(machine)
        or not accepted(machine)
        or not allocated(machine)
        or machine.bmc_configuration is None
        or requires_wipe(machine)
    )
    if not_for_talos:
        return BootMode.AGENT_PXE
    return BootMode.TALOS_DISK if installed(machine) else BootMode.TALOS_PXE


def requires_pxe(machine: Machine) -> bool:
    """It is to boot from the network."""
    return boot_mode(machine) is not BootMode.TALOS_DISK


def requires_power_on(machine: Machine) -> bool:
    """It has work to do, or is about to be wiped."""
    return allocated(machine) or installed(machine) or requires_wipe(machine)


def power_off_requested(machine: Machine) -> bool:
    """Omni asks to leave it powered off, and we have not acknowledged that yet."""
    requested = machine.infra_machine.power_off_request_id if machine.infra_machine else ""
    acknowledged = machine.power_operation.last_power_off_id if machine.power_operation else ""
    return bool(requested) and requested != acknowledged


def power_off_active(machine: Machine) -> bool:
    """It is powered off on request: we do not power it on, nor reboot it."""
    infra_machine, operation = machine.infra_machine, machine.power_operation
    if infra_machine is None or operation is None or not operation.last_power_off_id:
        return False
    same_request = operation.last_power_off_id == infra_machine.power_off_request_id
    return same_request and operation.wipe_id_at_power_off == infra_machine.wipe_id


def ready_to_use(machine: Machine) -> bool:
    """It may be put into a cluster."""
    return machine.bmc_configuration is not None and not requires_wipe(machine)


def reboot_requested(machine: Machine) -> bool:
    """Omni asks for a reboot that we have not done."""
    requested = machine.infra_machine.requested_reboot_id if machine.infra_machine else ""
    done = machine.reboot_status.last_reboot_id if machine.reboot_status else ""
    return bool(requested) and requested != done


def agent_accessible(machine: Machine) -> bool | None:
    """A machine that is off has no agent, whatever else says so."""
    return False if machine.facts.powered_on is False else machine.facts.agent_accessible


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a machine that Omni knows stands: all derived facts, computed once for all that is weighed.

    held_off: a power-off request, acknowledged or not, holds power-on and reboot back.
    """

    machine: Machine
    wish: InfraMachine
    powered_on: bool | None
    agent_accessible: bool | None
    boot_mode: BootMode
    allocated: bool
    installed: bool
    requires_wipe: bool
    requires_pxe: bool
    requires_power_on: bool
    bmc_configured: bool
    power_off_unacknowledged: bool
    held_off: bool
    reboot_requested: bool


def standing_of(machine: Machine, wish: InfraMachine) -> Standing:
    """Derive everything; `wish` is the machine's InfraMachine."""
    return Standing(
        machine=machine,
        wish=wish,
        powered_on=machine.facts.powered_on,
        agent_accessible=agent_accessible(machine),
        boot_mode=boot_mode(machine),
        allocated=allocated(machine),
        installed=installed(machine),
        requires_wipe=requires_wipe(machine),
        requires_pxe=requires_pxe(machine),
        requires_power_on=requires_power_on(machine),
        bmc_configured=machine.bmc_configuration is not None,
        power_off_unacknowledged=power_off_requested(machine),
        held_off=power_off_active(machine) or power_off_requested(machine),
        reboot_requested=reboot_requested(machine),
    )
