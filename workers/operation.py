"""The one way to act on a machine: take its lease, read it anew, decide again, act, record, give the lease back.

What: `run()` makes one attempt at one operation of one machine; `perform()` is the same inside a Celery task.

Guarantees:
- No two operations of one machine run at a time (lease), and none that is not due any more is done: it ends as
  `skipped: why`. So a task that comes twice, late or by hand does no harm.
- What an operation depends on is confirmed against Omni itself before it acts (`Procedure.confirms`).
- Each attempt that was due leaves an entry in the history, and each one by hand that was not due: a person wants to
  see why. A failed one counts towards parking, unless it can only be started by hand. One that ends because Omni is
  away or refuses the provider's account is skipped, and does not count: the machine is not to blame.
- What was written to Omni stands in the mirror before the lease is given back, and the watcher is woken after.

Usage:

    WIPE = Procedure(OperationName.WIPE, confirms=(Kind.INFRA_MACHINE, Kind.WIPE_STATUS), act=wipe_disks)

    @app.task(name="wipe", queue=QUEUE_WIPE, bind=True)
    def wipe(self, machine_id, operation_id=None):
        return perform(self, WIPE, machine_id, operation_id)
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import redis
import structlog
from celery.exceptions import Ignore

from app.machine.decide import decide
from app.machine.decide import operation_id as id_of
from app.machine.model import Operation, OperationName
from app.machine.sentences import remedied
from app.machine.verbs import BY_HAND_ONLY, due
from app.omni.errors import AccountRefused, OmniError, OmniUnavailable
from app.omni.kinds import Kind
from app.state.connection import now_ms
from app.state.deciding import decide_options
from app.state.history import HistoryEntry
from app.state.lease import Lease, unmark_queued
from app.state.metrics import count_skip
from app.state.mirror_reader import MirrorUnreadable
from workers.counting import count_failure, count_success
from workers.errors import OperationError, OperationFailed
from workers.keeper import DecideAnew, Guard, LeaseLost
from workers.lockout import why_not_by_hand
from workers.services import Services, current
from workers.turn import NotDue, PowerUnreadable, Procedure, begin

log = structlog.get_logger()

# The watcher looks again soon after a task that found nothing to do, and not at once, so that two views of a machine
# that differ cannot chase each other.
LOOK_AGAIN_S = 1.0
# Omni is away, or refuses this provider, or Redis is away: there is nothing to win by asking more often.
AWAY_S = 5.0
# Another key will not fit a second later; a worker that has it should not be asked all the time.
UNREADABLE_S = 30.0
# No fault of the machine, and none of the operation. What Redis answers with an error is a fault.
AWAY = (OmniUnavailable, AccountRefused, redis.ConnectionError, redis.TimeoutError)
SKIPPED = "skipped: "


class AlreadyRunning(Exception):
    """This very task runs elsewhere; this is a second delivery of it."""


def perform(task: Any, procedure: Procedure, machine_id: str, operation_id: str | None) -> str:
    """Make the attempt inside a Celery task: the text is its result, OperationFailed its failure."""
    structlog.contextvars.bind_contextvars(machine_id=machine_id, operation=procedure.name.value)
    try:
        return run(current(), procedure, machine_id, operation_id, task.request.id or "")
    except AlreadyRunning:
        raise Ignore from None  # the state of the task that runs must not be overwritten
    finally:
        structlog.contextvars.clear_contextvars()


def run(services: Services, procedure: Procedure, machine_id: str, operation_id: str | None, task_id: str) -> str:
    """Make one attempt. operation_id: None where a person started it, which forgets the failed attempts.

    Raises OperationFailed with the cause in words, AlreadyRunning.
    """
    machine_id, by_hand = _checked(machine_id), operation_id is None
    try:
        if reason := services.mirror.settling() or (by_hand and why_not_by_hand(services, procedure.name, machine_id)):
            services.leases.unmark_queued(machine_id)
            return _skipped(services, procedure, machine_id, task_id, SKIPPED + reason, by_hand=by_hand)
        lease, taken = services.leases.take(machine_id, procedure.name.value, task_id)
        if not taken:
            words = _busy(services, lease, machine_id, task_id, by_hand=by_hand)
            return _skipped(services, procedure, machine_id, task_id, words, by_hand=by_hand)
        if by_hand:
            services.attempts.clear(machine_id, procedure.name.value)
            services.renewals.forget(machine_id)
            if procedure.name is not OperationName.CONFIGURE_BMC:  # that one is due because a login was refused
                services.logins.forget_refused(machine_id)
    except redis.RedisError as error:
        unmark_queued(services.leases, machine_id)
        return f"{SKIPPED}Redis does not answer ({type(error).__name__})"
    with services.keeper.hold(lease) as guard:
        entry, guard.look_again_s = _attempt(services, procedure, machine_id, guard)
    log.info("operation_ended", outcome=entry.outcome, words=entry.words)
    if entry.outcome == "failed":
        raise OperationFailed(entry.words)
    if entry.outcome == "skipped":
        return _skipped(services, procedure, machine_id, task_id, entry.words, by_hand=by_hand)
    return entry.words


def _skipped(
    services: Services, procedure: Procedure, machine_id: str, task_id: str, words: str, *, by_hand: bool
) -> str:
    """The words, which stand in the history where a person started it and Omni knows the machine."""
    with _bookkeeping("skip"):
        if not by_hand:
            count_skip(services.redis, procedure.name.value)
            return words
        if services.mirror.resource(Kind.INFRA_MACHINE, machine_id) is not None:
            now, why = now_ms(services.redis), words.removeprefix(SKIPPED)
            services.history.add(
                machine_id, HistoryEntry(procedure.name.value, "", task_id, now, now, "skipped", why, 0)
            )
    return words


@contextmanager
def _bookkeeping(what: str) -> Iterator[None]:
    """What was done was done, whether or not Redis can be told."""
    try:
        yield
    except redis.RedisError as error:
        log.warning("not_noted", what=what, error=type(error).__name__)


def _busy(services: Services, held: Lease, machine_id: str, task_id: str, *, by_hand: bool) -> str:
    """The words of a task that finds another one at work. Raises AlreadyRunning where that is itself."""
    if held.task_id == task_id:
        raise AlreadyRunning
    if not by_hand:
        services.leases.unmark_queued(machine_id)
    services.alarms.wake(machine_id, after_s=LOOK_AGAIN_S)
    since = datetime.fromtimestamp(held.since_ms / 1000, UTC)
    words = f"{SKIPPED}{held.operation} has run since {since:%Y-%m-%d %H:%M:%S} UTC"
    log.info("operation_ended", outcome="skipped", words=words)
    return words


def _attempt(services: Services, procedure: Procedure, machine_id: str, guard: Guard) -> tuple[HistoryEntry, float]:
    """One attempt, with its entry in the history, and when to look again (s)."""
    started_s = time.monotonic()
    operation: Operation | None = None

    def entry(outcome: str, words: str, attempt: int = 0) -> HistoryEntry:
        cause = id_of(machine_id, operation) if operation else ""
        ended_ms = guard.lease.since_ms + int((time.monotonic() - started_s) * 1000)
        times = (guard.lease.since_ms, ended_ms)
        return HistoryEntry(procedure.name.value, cause, guard.lease.task_id, *times, outcome, words, attempt)

    try:
        while True:
            try:
                with begin(services, procedure, machine_id, guard) as turn:
                    operation = turn.operation
                    words = procedure.act(turn)
                break
            except DecideAnew:
                log.info("deciding_anew")
    except NotDue as reason:
        return entry("skipped", f"{SKIPPED}{reason}"), reason.again_s or LOOK_AGAIN_S
    except LeaseLost as reason:
        return entry("skipped", f"{SKIPPED}{reason}"), LOOK_AGAIN_S
    except MirrorUnreadable as reason:
        log.error("mirror_unreadable", error=str(reason))  # noqa: TRY400  # no fault of this code
        return entry("skipped", f"{SKIPPED}{reason}"), UNREADABLE_S
    except AWAY as reason:
        return entry("skipped", SKIPPED + _why_away(reason)), AWAY_S
    except Exception as error:  # the outer edge: whatever goes wrong is a failed attempt that a person can see
        failure = error.error if isinstance(error, PowerUnreadable) else error
        operation = error.operation if isinstance(error, PowerUnreadable) else operation
        operation = operation or _meant(services, procedure, machine_id)
        if not isinstance(failure, OperationError | OmniError):
            log.exception("operation_broke")
        return _failed(services, entry, operation, machine_id, failure)
    done = entry("done", words)
    with _bookkeeping("success"):
        pipe = services.redis.pipeline(transaction=False)
        count_success(services, turn, pipe)
        services.history.add(machine_id, done, pipe)
        pipe.execute()
    return done, 0.0


def _meant(services: Services, procedure: Procedure, machine_id: str) -> Operation | None:
    """The operation that a task was about to do when it failed before it could confirm that."""
    try:
        machine = services.mirror.load(machine_id)
    except (redis.RedisError, MirrorUnreadable):
        return None
    return due(machine, decide(machine, decide_options(services.settings)), procedure.name)


def _failed(
    services: Services, entry: Any, operation: Operation | None, machine_id: str, error: Exception
) -> tuple[HistoryEntry, float]:
    """Count a failed attempt, and park the operation after the last."""
    words = _words(error)
    if operation is None:
        return entry("failed", words), LOOK_AGAIN_S * 5
    if operation.name in BY_HAND_ONLY:
        log.warning("operation_failed", error=type(error).__name__, words=words, attempt=1, parked=False)
        with _bookkeeping("failure"):
            services.history.add(machine_id, entry("failed", words, 1))
        return entry("failed", words, 1), LOOK_AGAIN_S
    count, look_again_s = 1, OperationError.backoff_s[0]
    with _bookkeeping("failure"):
        attempt = count_failure(services, operation, machine_id, error, words)
        count, look_again_s = attempt.count, max(0.0, (attempt.next_ms - attempt.failed_ms) / 1000)
        services.attempts.store(machine_id, attempt)
        services.history.add(machine_id, entry("failed", words, count))
        log.warning("operation_failed", error=attempt.error, words=words, attempt=count, parked=attempt.parked)
    return entry("failed", words, count), look_again_s


def _why_away(reason: Exception) -> str:
    if not isinstance(reason, OmniError):
        return f"Redis does not answer ({type(reason).__name__})"
    said = "cannot be reached" if isinstance(reason, OmniUnavailable) else "refuses this provider"
    return f"Omni {said} ({reason}). {reason.hint}"


def _words(error: Exception) -> str:
    """The cause, and the remedy where there is one."""
    if isinstance(error, OperationError):
        return error.words()
    words = f"{type(error).__name__}: {error}"
    return remedied(words, error.hint) if isinstance(error, OmniError) else words


def _checked(machine_id: str) -> str:
    try:
        return str(uuid.UUID(machine_id))
    except (ValueError, TypeError, AttributeError):
        raise OperationFailed(f"machine_id {machine_id!r} is not a UUID") from None
