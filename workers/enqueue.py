"""The only door to the queue: enqueue an operation of a machine, or have done what a person orders."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import redis
import structlog
from kombu.exceptions import OperationalError

from app.machine.decide import decide, operation_id
from app.machine.model import Decision, Operation, OperationName
from app.machine.verbs import OPERATIONS, Verb, busy_words, due, first_due, refusal
from app.state.attempts import Attempts
from app.state.deciding import decide_options, published_options, with_published_limits
from app.state.lease import Leases, unmark_queued
from app.state.limits import Limits, Wait
from app.state.logins import RefusedLogins
from app.state.metrics import SENT_HEADER
from app.state.mirror import Mirror
from app.state.orders import note_record_order
from app.state.secrets import sealer
from app.state.wake import Alarms
from config.settings import Settings
from workers.bmc_reading import bmc_probe, bmc_test
from workers.bmc_setup import configure_bmc_task
from workers.celery_app import configure
from workers.lockout import why_not_yet
from workers.power import power_off_task, power_on_task
from workers.pxe_arm import pxe_arm
from workers.reboot import reboot_task
from workers.record import adopt_record, wipe_record
from workers.teardown import teardown_task
from workers.wipe import wipe

log = structlog.get_logger()

TASKS: dict[OperationName, Any] = {
    OperationName.CONFIGURE_BMC: configure_bmc_task,
    OperationName.WIPE: wipe,
    OperationName.POWER_ON: power_on_task,
    OperationName.POWER_OFF: power_off_task,
    OperationName.REBOOT: reboot_task,
    OperationName.PXE_ARM: pxe_arm,
    OperationName.TEARDOWN: teardown_task,
    OperationName.ADOPT_RECORD: adopt_record,
    OperationName.WIPE_RECORD: wipe_record,
    OperationName.BMC_TEST: bmc_test,
    OperationName.BMC_PROBE: bmc_probe,
}

ASKED_AGAIN = "its BMC is asked again with the next power sweep"


@dataclass(frozen=True, slots=True)
class OrderResult:
    """What came of an order.

    started: the operations whose tasks were sent, with their task_ids; skipped: why none was, or "".
    asks_again: nothing is due, and its BMC is asked again, as was ordered.
    """

    started: tuple[str, ...]
    skipped: str
    task_ids: tuple[str, ...] = ()
    asks_again: bool = False


class QueueUnavailable(Exception):
    """The task could not be sent: Redis does not answer."""


def use_queue(settings: Settings) -> None:
    """Send to the Redis of these settings; to be called once per process."""
    configure(settings, results=False)


class NotYet(Exception):
    """The operation has to wait for others: it is not sent. again_s: when to ask again."""

    def __init__(self, wait: Wait) -> None:
        super().__init__(wait.words)
        self.again_s = wait.again_s


def enqueue(leases: Leases, machine_id: str, operation: Operation, limits: Limits | None = None) -> bool:
    """Send the task of an operation once: False where one is queued, or an operation runs.

    Raises NotYet, QueueUnavailable.
    """
    return bool(_send(leases, machine_id, operation, limits, operation_id(machine_id, operation)))


def _send(leases: Leases, machine_id: str, operation: Operation, limits: Limits | None, cause: str | None) -> str:
    """The id of the task that was sent, or "". cause: None makes it a task by hand. Raises NotYet, QueueUnavailable."""
    try:
        if not leases.mark_queued(machine_id, operation.name.value):
            return ""
        wait = limits.wait(machine_id, operation) if limits else None
        if wait is not None:
            leases.unmark_queued(machine_id)
            raise NotYet(wait)
    except redis.RedisError as error:
        unmark_queued(leases, machine_id)  # it may stand although the answer was lost
        raise QueueUnavailable(f"cannot mark {operation.name}: {type(error).__name__}") from error
    arguments = {"machine_id": machine_id} | ({"operation_id": cause} if cause else {})
    try:
        sent = TASKS[operation.name].apply_async(
            kwargs=arguments,
            retry=False,
            headers={SENT_HEADER: int(time.time() * 1000)},
            kwargsrepr=repr(arguments),
            ignore_result=cause is not None,  # nobody waits for it, and storing it costs as much as a short task
        )
    except OperationalError as error:
        unmark_queued(leases, machine_id)
        raise QueueUnavailable(f"cannot send {operation.name}: {type(error).__name__}") from error
    log.info("operation_enqueued", machine_id=machine_id, operation=operation.name.value, reason=operation.reason)
    return str(sent.id)


def order(settings: Settings, client: redis.Redis, machine_id: str, verb: Verb, by: str) -> OrderResult:
    """Have done what a person orders, if Omni wants it: by the mirror; the task then asks Omni itself.

    The failed attempts at it are forgotten, and a BMC that refused its login may be asked again: where a task is sent,
    by that task. Raises QueueUnavailable, redis.RedisError, MirrorUnreadable.
    """
    use_queue(settings)
    mirror, leases = Mirror(client, sealer(settings)), Leases(client)
    if reason := mirror.settling():
        return OrderResult((), reason)
    if lease := leases.current(machine_id):
        return OrderResult((), busy_words(lease.operation))
    log.info("order_by_hand", machine_id=machine_id, verb=verb.value, by=by)
    options = published_options(client, decide_options(settings))
    machine = mirror.load(machine_id)
    decision = decide(machine, options)
    if verb is Verb.RETRY:
        Attempts(client).clear(machine_id)
    refused, operation = refusal(machine, decision, verb), None
    if not refused:
        operation = first_due(decision) if verb is Verb.RETRY else due(machine, decision, OPERATIONS[verb])
    result = OrderResult((), refused or ASKED_AGAIN, asks_again=not refused)
    if operation is not None:
        Attempts(client).clear(machine_id, operation.name.value)
        limits = Limits(client, with_published_limits(client, settings))
        result = _send_by_hand(client, leases, machine_id, operation, limits)
    # A task that is sent sees to it itself: the sweep would ask before it, and one order would cost two refused logins.
    if not result.started and (operation or verb is Verb.RETRY) and not _sets_up(decision):
        logins = RefusedLogins(client, sealer(settings))
        if why := why_not_yet(logins, machine_id, machine.bmc_configuration):
            return OrderResult((), why)
        logins.forget_refused(machine_id)
    return result


def _send_by_hand(
    client: redis.Redis, leases: Leases, machine_id: str, operation: Operation, limits: Limits
) -> OrderResult:
    """Send it in the place of a task that waits. Where it has to wait for others, the watcher sends it in its turn."""
    leases.unmark_queued(machine_id)
    if operation.name in (OperationName.ADOPT_RECORD, OperationName.WIPE_RECORD):
        note_record_order(client, machine_id, operation.name.value)
    try:
        task_id = _send(leases, machine_id, operation, limits, cause=None)
    except NotYet as wait:
        Alarms(client).wake(machine_id, after_s=wait.again_s)
        return OrderResult((), str(wait))
    if task_id:
        return OrderResult((operation.name.value,), "", (task_id,))
    return OrderResult((), "an operation has begun meanwhile")


def _sets_up(decision: Decision) -> bool:
    """Whether another login is to come: the refused one is not tried again, and is the reason for it."""
    return decision.find(OperationName.CONFIGURE_BMC) is not None
