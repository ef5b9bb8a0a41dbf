"""Count the attempts at an operation: what fails is tried again later and later, then parked."""

from __future__ import annotations

from typing import Any

from app.machine.decide import operation_id as id_of
from app.machine.model import Operation
from app.state.attempts import Attempt
from app.state.connection import now_ms
from workers.errors import OperationError
from workers.services import Services
from workers.turn import Turn


def count_success(services: Services, turn: Turn, pipe: Any) -> None:
    """Forget the failed attempts, on a pipeline. A reboot into the right mode has succeeded only once it is there."""
    name = turn.operation.name.value
    if not turn.operation.wrong_mode:
        services.attempts.clear(turn.machine.id, name, client=pipe)
        return
    cause = id_of(turn.machine.id, turn.operation)
    before = services.attempts.of(turn.machine.id).get(name)
    count = before.count + 1 if before and before.operation_id == cause else 1
    words = f"rebooted into {turn.decision.boot_mode}; not seen there yet"
    now = now_ms(services.redis)
    parked = bool(before and before.parked and before.operation_id == cause)
    next_ms = _parked_until(services, now) if parked else now
    attempt = Attempt(name, cause, count, next_ms, parked, "nothing_changed", words, now)
    services.attempts.store(turn.machine.id, attempt, pipe)


def count_failure(services: Services, operation: Operation, machine_id: str, error: Exception, words: str) -> Attempt:
    """The attempt that has just failed, and when the next one is due. Raises `redis.RedisError`."""
    name, cause, now = operation.name.value, id_of(machine_id, operation), now_ms(services.redis)
    before = services.attempts.of(machine_id).get(name)
    count = before.count + 1 if before and before.operation_id == cause else 1
    parks = isinstance(error, OperationError) and error.parks
    parked = parks or count >= services.settings.operation_attempts
    backoff = error.backoff_s if isinstance(error, OperationError) else OperationError.backoff_s
    next_ms = now + int(backoff[min(count, len(backoff)) - 1] * 1000)
    if parked:
        next_ms = 0 if parks else _parked_until(services, now)
    return Attempt(name, cause, count, next_ms, parked, type(error).__name__, words, now)


def _parked_until(services: Services, now: int) -> int:
    """When a parked operation is tried again, in Redis' ms; 0 = never by the clock."""
    interval_s = services.settings.parked_retry_interval_s
    return now + int(interval_s * 1000) if interval_s else 0
