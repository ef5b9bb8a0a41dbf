"""Which operation of a machine is to be enqueued now, given the failed attempts: a pure function."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from app.machine.decide import operation_id
from app.machine.facts import tearing_down
from app.machine.model import BootMode, Decision, Machine, Operation, OperationName
from app.state.attempts import Attempt

ACKNOWLEDGEMENTS = (OperationName.ACKNOWLEDGE_POWER_OFF, OperationName.ACKNOWLEDGE_REBOOT)


@dataclass(frozen=True, slots=True)
class Choice:
    """operation: to be enqueued now, or None; wake_s: seconds until the next look, or None; forget: attempts."""

    operation: Operation | None
    wake_s: float | None
    forget: tuple[str, ...] = ()


def choose(machine: Machine, decision: Decision, attempts: Mapping[str, Attempt], now_ms: int) -> Choice:
    """The first operation that is due and may be tried now.

    One in its backoff or parked is passed over, so that it does not hold up the others.
    """
    wakes_s = [] if decision.wait_s is None else [decision.wait_s]
    for operation in decision.operations:
        if operation.name in ACKNOWLEDGEMENTS:
            continue
        attempt = attempts.get(operation.name)
        if attempt is None or attempt.operation_id != operation_id(machine.id, operation):
            return Choice(operation, None, obsolete(machine, decision, attempts))
        again_ms = attempt.again_ms(now_ms)
        if again_ms == 0:
            return Choice(operation, None, obsolete(machine, decision, attempts))
        if again_ms is not None:
            wakes_s.append(again_ms / 1000)
    return Choice(None, min(wakes_s, default=None), obsolete(machine, decision, attempts))


def obsolete(machine: Machine, decision: Decision, attempts: Mapping[str, Attempt]) -> tuple[str, ...]:
    """The attempts whose purpose was reached or is not wanted any more."""
    return tuple(name for name in attempts if _is_obsolete(OperationName(name), machine, decision))


def _is_obsolete(name: OperationName, machine: Machine, decision: Decision) -> bool:
    if decision.find(name) is not None:
        return False
    facts, on = machine.facts, machine.facts.powered_on
    settled = decision.gate is None and decision.wait_s is None and on is not None
    in_agent_mode = decision.boot_mode is BootMode.AGENT_PXE and facts.agent_accessible is True
    from_disk = decision.boot_mode is BootMode.TALOS_DISK and decision.wait_s is None
    reached = {
        OperationName.WIPE: not decision.requires_wipe,
        # A login that stands in Omni may still be refused, or not fit: it counts once the BMC has spoken with it.
        OperationName.CONFIGURE_BMC: machine.bmc_configuration is not None and on is not None,
        OperationName.POWER_ON: on is True or settled,
        OperationName.POWER_OFF: on is False or settled,
        OperationName.REBOOT: in_agent_mode or from_disk,
        OperationName.TEARDOWN: not tearing_down(machine),
    }
    return reached.get(name, True)
