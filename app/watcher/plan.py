"""What a look at a machine is going to do: a pure function of what is known of it.

Reports wait for a while where an operation is queued or runs, since its end mostly changes them once more: Omni then
gets one update instead of two. What Omni acts on (ready, installed, an acknowledged request) never waits.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from app.machine.decide import decide
from app.machine.model import (
    DecideOptions,
    Decision,
    InfraMachineStatus,
    Machine,
    MachineStatus,
    Operation,
    OperationName,
)
from app.state.attempts import Attempt
from app.state.facts import Notes
from app.state.view import bmc_trouble, current_attempts
from app.watcher.choose import ACKNOWLEDGEMENTS, Choice, choose
from app.watcher.report import StatusReport, infra_machine_status, machine_status
from app.watcher.status_labels import STATUS_LABELS, facts_as_labels

# Most operations end within seconds; a page of Omni's that is older than this would mislead.
REPORT_WAIT_S = 20.0


@dataclass(frozen=True, slots=True)
class Sight:
    """All that a look begins with, read in one round trip for many machines.

    busy: a task of it is queued, or an operation runs.
    busy_since_ms: since when; 0 where neither is so.
    wiping: a wipe runs.
    """

    machine: Machine
    notes: Notes
    busy: bool
    attempts: Mapping[str, Attempt]
    busy_since_ms: int = 0
    wiping: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do. machine: as it is once `status` is written; late_s: when what waits is due, None if nothing does."""

    sight: Sight
    machine: Machine
    decision: Decision
    choice: Choice
    status: MachineStatus | None
    report: StatusReport | None
    late_s: float | None

    @property
    def starts(self) -> Operation | None:
        """The operation to enqueue now."""
        return None if self.sight.busy else self.choice.operation

    @property
    def acknowledgements(self) -> tuple[OperationName, ...]:
        """The acknowledgements to write now."""
        if self.sight.busy:
            return ()
        return tuple(o.name for o in self.decision.operations if o.name in ACKNOWLEDGEMENTS)

    def writes_nothing(self) -> bool:
        """Whether there is nothing to write and nothing to enqueue."""
        return not (self.status or self.report or self.starts or self.acknowledgements or self.choice.forget)


def plan(
    sight: Sight,
    options: DecideOptions,
    labels: Mapping[str, str],
    *,
    limited: Collection[OperationName] = (),
    status_labels: bool = False,
) -> Plan:
    """What to do about the machine.

    labels: the operator's.
    limited: operations that may not start yet though they are due, since others are done first.
    status_labels: labels of ours tell what the machine is at; the operator's of the same name win.
    """
    now_ms = int(sight.machine.now.timestamp() * 1000)
    status = machine_status(sight.machine, sight.notes)
    machine = replace(sight.machine, machine_status=status) if status else sight.machine
    decision = decide(machine, options)
    choice = choose(machine, decision, sight.attempts, now_ms)
    told = _told(sight, machine, decision) if status_labels else {}
    report = infra_machine_status(machine, decision, {**told, **labels})
    wait_s = _wait_s(sight, choice, now_ms, limited)
    late_s = None
    if wait_s > 0 and status is not None and sight.machine.machine_status is not None:
        status, late_s = None, wait_s  # a first one never waits: a wipe is not due without it
    if wait_s > 0 and report is not None and _may_wait(sight.machine, report):
        report, late_s = None, wait_s
    return Plan(sight, machine, decision, choice, status, report, late_s)


def _told(sight: Sight, machine: Machine, decision: Decision) -> Mapping[str, str]:
    attempts = current_attempts(machine, decision, sight.attempts)
    trouble = bmc_trouble(machine, sight.notes)
    found = sight.notes.bmc_found
    return facts_as_labels(machine, decision, attempts, wiping=sight.wiping, trouble=trouble, bmc_found=found)


def _wait_s(sight: Sight, choice: Choice, now_ms: int, limited: Collection[OperationName]) -> float:
    """How long reports may still wait."""
    if sight.busy:
        return REPORT_WAIT_S - (now_ms - sight.busy_since_ms) / 1000
    if choice.operation is None or choice.operation.name in limited:
        return 0.0
    return REPORT_WAIT_S


def _may_wait(machine: Machine, report: StatusReport) -> bool:
    before = machine.infra_machine_status
    labels_stand = before is None or _urgent(before.meta.labels) == _urgent(report.labels)
    base = before or InfraMachineStatus()
    return labels_stand and replace(report.status, power_state=base.power_state) == base


def _urgent(labels: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in labels.items() if name not in STATUS_LABELS}
