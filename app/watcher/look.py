"""Look at a machine: decide, and do what the watcher itself does about it.

That is our finalizer, MachineStatus, InfraMachineStatus and the two acknowledgements, which touch Omni alone; all
else is enqueued for the workers. Looks at different machines run side by side, at one machine one at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import redis
import structlog

from app.machine.decide import decide, operation_id
from app.machine.model import (
    Decision,
    InfraMachine,
    InfraMachineStatus,
    Machine,
    MachineStatus,
    Operation,
    OperationName,
    Phase,
)
from app.omni.client import Omni
from app.omni.kinds import Kind
from app.state.attempts import Attempt, Attempts, attempts_key, parse_attempts
from app.state.boots import Boots
from app.state.connection import now_ms
from app.state.deciding import decide_options
from app.state.facts import Notes
from app.state.history import History, HistoryEntry
from app.state.lease import Leases, lease_key, queued_key
from app.state.mirror import Mirror
from app.state.wake import Alarms
from app.state.wipes import WipeSlots
from app.watcher.choose import ACKNOWLEDGEMENTS, Choice, choose
from app.watcher.report import StatusReport, infra_machine_status, machine_status
from app.watcher.strangers import Strangers
from config.settings import Settings
from workers.enqueue import QueueUnavailable, enqueue

log = structlog.get_logger()

# Redis or the number of wipes said no: the next look comes soon, and not at once.
NOT_NOW_S = 1.0
# A lease ends by itself within 30 s of its worker's death.
BUSY_LOOK_S = 10.0


@dataclass(frozen=True, slots=True)
class Sight:
    """All that a look begins with, read in one round trip for many machines."""

    machine: Machine
    notes: Notes
    busy: bool
    attempts: dict[str, Attempt]


class Looker:
    """Looks at machines."""

    def __init__(self, settings: Settings, client: redis.Redis, omni: Omni, mirror: Mirror) -> None:
        self._settings = settings
        self._redis = client
        self._omni = omni
        self._mirror = mirror
        self._options = decide_options(settings)
        self._leases = Leases(client)
        self._alarms = Alarms(client)
        self._attempts = Attempts(client)
        self._history = History(client)
        self._slots = WipeSlots(client, settings.max_concurrent_wipes)
        self._strangers = Strangers(mirror, Boots(client))
        self._finalizer = f"{settings.id}.MachineStatusController"

    def see(self, machine_ids: Sequence[str]) -> list[Sight]:
        """What is known of these machines."""
        pictures = self._mirror.load_noted(machine_ids)
        pipe = self._redis.pipeline(transaction=False)
        for machine_id in machine_ids:
            pipe.exists(lease_key(machine_id), queued_key(machine_id))
            pipe.hgetall(attempts_key(machine_id))
        rows = pipe.execute()
        return [
            Sight(machine, notes, bool(rows[2 * i]), parse_attempts(rows[2 * i + 1]))
            for i, (machine, notes) in enumerate(pictures)
        ]

    def look(self, sight: Sight) -> None:
        """Bring our records up to date, and enqueue what is due. Raises OmniError, redis.RedisError."""
        machine = self._keep_records(sight)
        decision = decide(machine, self._options)
        report = infra_machine_status(machine, decision, self._settings.machine_labels)
        if report is not None:
            self._write_report(machine, report)
        for operation in decision.operations:
            if operation.name in ACKNOWLEDGEMENTS and not sight.busy and not self._mirror.settling():
                self._acknowledge(machine.id, operation.name)
        self._enqueue(machine, decision, sight)

    def idle(self, sight: Sight) -> bool:
        """Whether a look would write and enqueue nothing: most looks, answered without a thread."""
        machine, decision = sight.machine, decide(sight.machine, self._options)
        if self._finalizer_missing(machine) or machine_status(machine, sight.notes) is not None:
            return False
        if infra_machine_status(machine, decision, self._settings.machine_labels) is not None:
            return False
        choice = self._choice(machine, decision, sight)
        if decision.operations and not sight.busy and (choice.operation or self._acknowledges(decision)):
            return False
        if choice.forget:
            return False
        self._wake(machine.id, choice, busy=sight.busy)
        return True

    def _keep_records(self, sight: Sight) -> Machine:
        machine = sight.machine
        if self._finalizer_missing(machine):
            known = self._mirror.resource(Kind.INFRA_MACHINE, machine.id)
            resource = self._omni.add_finalizer(Kind.INFRA_MACHINE, machine.id, known=known)
            if resource is not None:
                self._mirror.put(resource)
        status = machine_status(machine, sight.notes)
        if status is None or (machine.machine_status is None and not self._strangers.welcome(machine)):
            return machine
        known = self._mirror.resource(Kind.MACHINE_STATUS, machine.id)
        edit = _machine_status_edit(status)
        self._mirror.put(
            self._omni.update(Kind.MACHINE_STATUS, machine.id, edit, known=known, create=True, absent=known is None)
        )
        return replace(machine, machine_status=status)

    def _finalizer_missing(self, machine: Machine) -> bool:
        infra_machine = machine.infra_machine
        if infra_machine is None or infra_machine.meta.phase is Phase.TEARING_DOWN:
            return False
        return self._finalizer not in infra_machine.meta.finalizers

    def _write_report(self, machine: Machine, report: StatusReport) -> None:
        known = self._mirror.resource(Kind.INFRA_MACHINE_STATUS, machine.id)
        edit = _report_edit(report)
        self._mirror.put(
            self._omni.update(
                Kind.INFRA_MACHINE_STATUS, machine.id, edit, known=known, create=True, absent=known is None
            )
        )

    @staticmethod
    def _acknowledges(decision: Decision) -> bool:
        return any(o.name in ACKNOWLEDGEMENTS for o in decision.operations)

    def _acknowledge(self, machine_id: str, name: OperationName) -> None:
        """Store an id of Omni's as seen, under the machine's lease and after a fresh decision."""
        lease, taken = self._leases.take(machine_id, name.value, "watcher")
        if not taken:
            return
        try:
            started_ms = now_ms(self._redis)
            machine = self._mirror.load(machine_id)
            operation = decide(machine, self._options).find(name)
            if operation is None or machine.infra_machine is None:
                return
            self._write_acknowledgement(machine.id, machine.infra_machine, operation)
            cause, ended_ms = operation_id(machine_id, operation), now_ms(self._redis)
            entry = HistoryEntry(name.value, cause, "", started_ms, ended_ms, "done", operation.reason, 0)
            self._history.add(machine_id, entry)
        finally:
            self._leases.give_back(lease)
        self._alarms.wake(machine_id)

    def _write_acknowledgement(self, machine_id: str, infra_machine: InfraMachine, operation: Operation) -> None:
        if operation.name is OperationName.ACKNOWLEDGE_REBOOT:
            kind = Kind.REBOOT_STATUS

            def edit(draft: Any) -> None:
                draft.spec.last_reboot_id = infra_machine.requested_reboot_id
        else:
            kind = Kind.POWER_OPERATION

            def edit(draft: Any) -> None:
                draft.spec.last_power_off_id = infra_machine.power_off_request_id
                draft.spec.wipe_id_at_power_off = infra_machine.wipe_id

        known = self._mirror.resource(kind, machine_id)
        self._mirror.put(self._omni.update(kind, machine_id, edit, known=known, create=True, absent=known is None))

    def _choice(self, machine: Machine, decision: Decision, sight: Sight) -> Choice:
        return choose(machine, decision, sight.attempts, int(machine.now.timestamp() * 1000))

    def _enqueue(self, machine: Machine, decision: Decision, sight: Sight) -> None:
        choice = self._choice(machine, decision, sight)
        if choice.forget:
            self._attempts.clear(machine.id, *choice.forget)
        self._wake(machine.id, choice, busy=sight.busy)
        if choice.operation is None or sight.busy or self._mirror.settling():
            return
        try:
            sent = enqueue(self._leases, machine.id, choice.operation, self._slots)
        except QueueUnavailable as error:
            log.warning("not_enqueued", machine_id=machine.id, error=str(error))
            sent = False
        if not sent:
            self._alarms.wake(machine.id, after_s=NOT_NOW_S)

    def _wake(self, machine_id: str, choice: Choice, *, busy: bool) -> None:
        # What is due waits for an operation that runs, or for one whose worker died: nobody tells of its end then.
        wake_s = BUSY_LOOK_S if busy and choice.operation is not None else choice.wake_s
        if wake_s is not None:
            self._alarms.wake(machine_id, after_s=wake_s)


def _machine_status_edit(status: MachineStatus) -> Any:
    def edit(draft: Any) -> None:
        draft.spec.agent_accessible = status.agent_accessible
        draft.spec.power_state = status.power_state
        draft.spec.initialized = status.initialized

    return edit


def _report_edit(report: StatusReport) -> Any:
    status: InfraMachineStatus = report.status

    def edit(draft: Any) -> None:
        spec = draft.spec
        spec.power_state, spec.ready_to_use, spec.installed = status.power_state, status.ready_to_use, status.installed
        spec.last_reboot_id, spec.last_power_off_id = status.last_reboot_id, status.last_power_off_id
        spec.wiped_node_unique_token = status.wiped_node_unique_token
        if status.last_reboot_timestamp:
            spec.last_reboot_timestamp.FromDatetime(status.last_reboot_timestamp)
        draft.labels.clear()
        draft.labels.update(report.labels)

    return edit
