"""The only door to the queue: enqueue an operation of a machine, or have a person's retry done."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import redis
import structlog
from kombu.exceptions import OperationalError

from app.machine.decide import decide, operation_id
from app.machine.model import Operation, OperationName
from app.state.attempts import Attempts
from app.state.deciding import decide_options, published_options
from app.state.lease import Leases, unmark_queued
from app.state.logins import RefusedLogins
from app.state.mirror import Mirror
from app.state.secrets import sealer
from app.state.wipes import WipeSlots
from config.settings import Settings
from workers.bmc_setup import configure_bmc_task
from workers.celery_app import configure
from workers.power import power_off_task, power_on_task
from workers.pxe_arm import pxe_arm
from workers.reboot import reboot_task
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
}


@dataclass(frozen=True, slots=True)
class RetryResult:
    """started: the operations that were enqueued; skipped: why none was, or ''."""

    started: tuple[str, ...]
    skipped: str


class QueueUnavailable(Exception):
    """The task could not be sent: Redis does not answer."""


def use_queue(settings: Settings) -> None:
    """Send to the Redis of these settings; to be called once per process."""
    configure(settings, results=False)


def enqueue(leases: Leases, machine_id: str, operation: Operation, slots: WipeSlots | None = None) -> bool:
    """Send the task of an operation once: False where one is queued, or an operation runs, or no wipe slot is free.

    Raises QueueUnavailable.
    """
    try:
        if not leases.mark_queued(machine_id, operation.name.value):
            return False
        if operation.name is OperationName.WIPE and slots is not None and not slots.take(machine_id):
            leases.unmark_queued(machine_id)
            return False
    except redis.RedisError as error:
        unmark_queued(leases, machine_id)  # it may stand although the answer was lost
        raise QueueUnavailable(f"cannot mark {operation.name}: {type(error).__name__}") from error
    cause = operation_id(machine_id, operation)
    try:
        TASKS[operation.name].apply_async(kwargs={"machine_id": machine_id, "operation_id": cause}, retry=False)
    except OperationalError as error:
        unmark_queued(leases, machine_id)
        raise QueueUnavailable(f"cannot send {operation.name}: {type(error).__name__}") from error
    log.info("operation_enqueued", machine_id=machine_id, operation=operation.name.value, reason=operation.reason)
    return True


def retry(settings: Settings, client: redis.Redis, machine_id: str, by: str) -> RetryResult:
    """A person wants it tried again now: forget the failed attempts and enqueue the first operation that is due.

    Raises QueueUnavailable.
    """
    use_queue(settings)
    mirror, leases = Mirror(client, sealer(settings)), Leases(client)
    if reason := mirror.settling():
        return RetryResult((), reason)
    if lease := leases.current(machine_id):
        return RetryResult((), f"{lease.operation} runs now")
    forget_refusals(client, settings, machine_id)
    decision = decide(mirror.load(machine_id), published_options(client, decide_options(settings)))
    due = [o for o in decision.operations if o.name in TASKS]
    Attempts(client).clear(machine_id)
    log.info("retry_by_hand", machine_id=machine_id, by=by)
    if not due:
        return RetryResult((), "nothing is due: " + "; ".join(decision.reasons[-3:]))
    leases.unmark_queued(machine_id)
    if enqueue(leases, machine_id, due[0], WipeSlots(client, settings.max_concurrent_wipes)):
        return RetryResult((due[0].name.value,), "")
    return RetryResult((), "an operation has begun meanwhile, or as many wipes run as may")


def forget_refusals(client: redis.Redis, settings: Settings, machine_id: str) -> None:
    """A BMC that refused its login may be asked again, and the sweep reads it: a person says so."""
    RefusedLogins(client, sealer(settings)).forget_refused(machine_id)
