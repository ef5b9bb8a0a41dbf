"""The rules of what is done by hand only, which `decide()` never lists: when each of it may be done."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from app.machine import facts
from app.machine.model import Decision, Gate, Machine, Operation, OperationName
from app.machine.sentences import shown


def _pxe_arm(machine: Machine, decision: Decision) -> Operation | None:
    """Due when no gate holds, the machine stays, its BMC is configured, and it is to boot from the network."""
    wish, configured = machine.infra_machine, machine.bmc_configuration is not None
    if wish is None or facts.tearing_down(machine) or decision.gate is not None:
        return None
    if not configured or not decision.requires_pxe:
        return None
    return Operation(OperationName.PXE_ARM, f"The next boot is to be {decision.boot_mode}.", pxe=True)


def _adopt_record(machine: Machine, decision: Decision) -> Operation | None:
    """Due when nothing but the lost record is in the way, and a cluster owns what is on the disks."""
    wish = machine.infra_machine
    if wish is None or decision.gate is not Gate.RECORD_LOST or not facts.allocated(machine):
        return None
    reason = f"The lost record is written anew as for a machine that was wiped for {shown(wish.wipe_id)}."
    return Operation(OperationName.ADOPT_RECORD, reason, cause=(wish.wipe_id, wish.cluster_talos_version))


def _wipe_record(machine: Machine, decision: Decision) -> Operation | None:
    """Due when nothing but the lost record is in the way."""
    wish = machine.infra_machine
    if wish is None or decision.gate is not Gate.RECORD_LOST:
        return None
    reason = "The lost record is written anew as for a machine that was never wiped."
    return Operation(OperationName.WIPE_RECORD, reason, cause=(wish.wipe_id,))


def _bmc_test(machine: Machine, _: Decision) -> Operation | None:
    reason = "A person asks whether its BMC takes the login."
    return Operation(OperationName.BMC_TEST, reason) if _has_bmc_to_read(machine) else None


def _bmc_probe(machine: Machine, _: Decision) -> Operation | None:
    reason = "A person asks what its BMC is."
    return Operation(OperationName.BMC_PROBE, reason) if _has_bmc_to_read(machine) else None


def _has_bmc_to_read(machine: Machine) -> bool:
    """To read does no harm, so that no gate counts; while the machine is removed its login goes away."""
    known = machine.infra_machine is not None and not facts.tearing_down(machine)
    return known and machine.bmc_configuration is not None


RULES: Final[dict[OperationName, Callable[[Machine, Decision], Operation | None]]] = {
    OperationName.PXE_ARM: _pxe_arm,
    OperationName.ADOPT_RECORD: _adopt_record,
    OperationName.WIPE_RECORD: _wipe_record,
    OperationName.BMC_TEST: _bmc_test,
    OperationName.BMC_PROBE: _bmc_probe,
}
