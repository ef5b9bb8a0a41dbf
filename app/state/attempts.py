"""Failed attempts by machine and operation: how many, when the next one is due, and what is parked.

An attempt belongs to an operation id, the hash of its cause; a new cause begins anew.
"""

from __future__ import annotations

import contextlib
import json
from dataclasses import asdict, dataclass
from typing import Any

import redis

from app.state.clock import STEP_MS
from app.state.connection import as_fields


@dataclass(frozen=True, slots=True)
class Attempt:
    """The failed attempts at one operation.

    next_ms: Redis' time from which the next attempt is due; 0 = never by the clock.
    words: the cause of the last failure, for a person.
    """

    operation: str
    operation_id: str
    count: int
    next_ms: int
    parked: bool
    error: str
    words: str
    failed_ms: int

    def again_ms(self, now_ms: int) -> int | None:
        """In how many ms the clock may try again: 0 = now, None = never.

        A failure ahead of the clock is from before that was put back, and its pause would last as long as the step.
        """
        if self.next_ms == 0:
            return None
        return 0 if self.failed_ms > now_ms + STEP_MS else max(0, self.next_ms - now_ms)


def attempts_key(machine_id: str) -> str:
    """The key of a machine's attempts."""
    return f"om:attempts:{machine_id}"


def parse_attempts(fields: dict[bytes, bytes]) -> dict[str, Attempt]:
    """Attempts by operation name. What another version has stored and this one cannot read is left out."""
    found = {}
    for name, text in fields.items():
        with contextlib.suppress(ValueError, TypeError):
            found[name.decode()] = Attempt(**json.loads(text))
    return found


class Attempts:
    """Reads and writes attempts."""

    def __init__(self, client: redis.Redis) -> None:
        self._redis = client

    def of(self, machine_id: str) -> dict[str, Attempt]:
        """The attempts of a machine by operation name."""
        return parse_attempts(as_fields(self._redis.hgetall(attempts_key(machine_id))))

    def store(self, machine_id: str, attempt: Attempt, client: Any = None) -> None:
        """Keep a failed attempt."""
        (client or self._redis).hset(attempts_key(machine_id), attempt.operation, json.dumps(asdict(attempt)))

    def clear(self, machine_id: str, *operations: str, client: Any = None) -> None:
        """Forget the attempts at these operations; at all of them where none is named."""
        if operations:
            (client or self._redis).hdel(attempts_key(machine_id), *operations)
        else:
            self._redis.delete(attempts_key(machine_id))
