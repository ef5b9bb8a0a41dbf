"""Look at a machine: decide, and do what the watcher itself does about it.

That is our finalizer, MachineStatus, InfraMachineStatus and the two acknowledgements, which touch Omni alone; all
else is enqueued for the workers. Looks at different machines run side by side, at one machine one at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import redis
import structlog

from app.machine.decide import decide, operation_id
from app.machine.model import (
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
from app.omni.resource import Resource
from app.state.attempts import Attempts, attempts_key, parse_attempts
from app.state.boots import Boots
from app.state.connection import now_ms
from app.state.deciding import decide_options
from app.state.history import History, HistoryEntry
from app.state.lease import QUEUED_S, Leases, lease_key, parse, queued_key
from app.state.limits import Limits
from app.state.mirror import Mirror
from app.state.wake import Alarms
from app.watcher.echoes import Echoes
from app.watcher.plan import Plan, Sight, plan
from app.watcher.report import StatusReport
from app.watcher.strangers import Strangers
from config.settings import Settings
from workers.enqueue import NotYet, QueueUnavailable, enqueue

log = structlog.get_logger()

# Redis said no: the next look comes soon, and not at once.
NOT_NOW_S = 1.0
# A lease ends by itself within 30 s of its worker's death.
BUSY_LOOK_S = 10.0


class Looker:
    """Looks at machines."""

    def __init__(
        self, settings: Settings, client: redis.Redis, omni: Omni, mirror: Mirror, echoes: Echoes | None = None
    ) -> None:
        self._settings = settings
        self._redis = client
        self._omni = omni
        self._mirror = mirror
        self._echoes = echoes or Echoes()
        self._options = decide_options(settings)
        self._leases = Leases(client)
        self._alarms = Alarms(client)
        self._attempts = Attempts(client)
        self._history = History(client)
        self._limits = Limits(client, settings)
        self._strangers = Strangers(mirror, Boots(client))
        self._finalizer = f"{settings.id}.MachineStatusController"

    def see(self, machine_ids: Sequence[str]) -> list[Sight]:
        """What is known of these machines."""
        pictures = self._mirror.load_noted(machine_ids)
        pipe = self._redis.pipeline(transaction=False)
        for machine_id in machine_ids:
            pipe.get(lease_key(machine_id))
            pipe.get(queued_key(machine_id))
            pipe.pttl(queued_key(machine_id))
            pipe.hgetall(attempts_key(machine_id))
        rows = iter(pipe.execute())
        sights = []
        for machine, notes in pictures:
            lease, queued, queued_left_ms = next(rows), next(rows), next(rows)
            held = parse(machine.id, lease) if lease is not None else None
            busy_since_ms = held.since_ms if held else _queued_since_ms(machine, queued, queued_left_ms)
            busy = busy_since_ms is not None
            wiping = held is not None and held.operation == OperationName.WIPE
            sights.append(Sight(machine, notes, busy, parse_attempts(next(rows)), busy_since_ms or 0, wiping))
        return sights

    def plan(self, sight: Sight) -> Plan:
        """What a look at this is going to do."""
        settings = self._settings
        return plan(
            sight,
            self._options,
            settings.machine_labels,
            limited=self._limits.limited,
            status_labels=settings.status_labels,
        )

    def look(self, plan: Plan) -> None:
        """Bring our records up to date, and enqueue what is due. Raises OmniError, redis.RedisError."""
        self._keep_records(plan)
        if plan.report is not None:
            self._write_report(plan.machine, plan.report)
        for name in plan.acknowledgements:
            if not self._mirror.settling():
                self._acknowledge(plan.machine.id, name)
        self._enqueue(plan)

    def idle(self, plan: Plan) -> bool:
        """Whether a look would write and enqueue nothing: most looks, answered without a thread."""
        if self._finalizer_missing(plan.sight.machine) or not plan.writes_nothing():
            return False
        self._wake(plan)
        return True

    def _keep_records(self, plan: Plan) -> None:
        machine, status = plan.sight.machine, plan.status
        if self._finalizer_missing(machine):
            known = self._mirror.resource(Kind.INFRA_MACHINE, machine.id)
            resource = self._omni.add_finalizer(Kind.INFRA_MACHINE, machine.id, known=known)
            if resource is not None:
                self._keep(resource)
        if status is None or (machine.machine_status is None and not self._strangers.welcome(machine)):
            return
        known = self._mirror.resource(Kind.MACHINE_STATUS, machine.id)
        edit = _machine_status_edit(status)
        self._keep(
            self._omni.update(Kind.MACHINE_STATUS, machine.id, edit, known=known, create=True, absent=known is None)
        )

    def _keep(self, resource: Resource) -> None:
        """Put what was written into the mirror, and expect its echo."""
        self._echoes.expect(resource)  # first: a list that comes in between is older, and forgets it
        try:
            self._mirror.put(resource)
        except redis.RedisError:
            self._echoes.is_one(resource)  # it is to be put when it comes
            raise

    def _finalizer_missing(self, machine: Machine) -> bool:
        infra_machine = machine.infra_machine
        if infra_machine is None or infra_machine.meta.phase is Phase.TEARING_DOWN:
            return False
        return self._finalizer not in infra_machine.meta.finalizers

    def _write_report(self, machine: Machine, report: StatusReport) -> None:
        known = self._mirror.resource(Kind.INFRA_MACHINE_STATUS, machine.id)
        edit = _report_edit(report)
        self._keep(
            self._omni.update(
                Kind.INFRA_MACHINE_STATUS, machine.id, edit, known=known, create=True, absent=known is None
            )
        )

    def _acknowledge(self, machine_id: str, name: OperationName) -> None:
        """Store an id of Omni's as seen, under the machine's lease and after a fresh decision."""
        lease, taken = self._leases.take(machine_id, name.value, "watcher")
        if not taken:
            return
        look_again_s = NOT_NOW_S
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
            look_again_s = 0.0
        finally:
            self._leases.give_back(lease, look_again_s)

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
        self._keep(self._omni.update(kind, machine_id, edit, known=known, create=True, absent=known is None))

    def _enqueue(self, plan: Plan) -> None:
        machine_id, operation = plan.machine.id, plan.starts
        if plan.choice.forget:
            self._attempts.clear(machine_id, *plan.choice.forget)
        self._wake(plan)
        if operation is None or self._mirror.settling():
            return
        try:
            again_s = 0.0 if enqueue(self._leases, machine_id, operation, self._limits) else NOT_NOW_S
        except NotYet as wait:
            again_s = wait.again_s
        except QueueUnavailable as error:
            log.warning("not_enqueued", machine_id=machine_id, error=str(error))
            again_s = NOT_NOW_S
        if again_s:
            self._alarms.wake(machine_id, after_s=again_s)

    def _wake(self, plan: Plan) -> None:
        # What is due waits for an operation that runs, or for one whose worker died: nobody tells of its end then.
        blocked = plan.sight.busy and plan.choice.operation is not None
        due_s = BUSY_LOOK_S if blocked else plan.choice.wake_s
        wakes_s = [s for s in (due_s, plan.late_s) if s is not None]
        if wakes_s:
            self._alarms.wake(plan.machine.id, after_s=min(wakes_s))


def _queued_since_ms(machine: Machine, queued: bytes | None, queued_left_ms: int) -> int | None:
    """Since when an operation is queued, in Redis' ms; None where none is."""
    if queued is None:
        return None
    return int(machine.now.timestamp() * 1000) - (QUEUED_S * 1000 - queued_left_ms)


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
