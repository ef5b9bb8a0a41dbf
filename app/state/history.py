"""The last 200 operations of a machine, newest first."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

import redis

from app.state.metrics import count_operation

KEPT = 200


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """One attempt at an operation.

    outcome: `done`, `failed`, or `skipped` (kept only where a person started it); words: what was done, the cause, or
        why it was skipped.
    """

    operation: str
    operation_id: str
    task_id: str
    started_ms: int
    ended_ms: int
    outcome: str
    words: str
    attempt: int


class History:
    """Reads and writes histories."""

    def __init__(self, client: redis.Redis) -> None:
        self._redis = client

    def read(self, machine_id: str) -> list[HistoryEntry]:
        """The operations of a machine, newest first."""
        return [read_entry(text) for text in self._redis.lrange(history_key(machine_id), 0, KEPT - 1)]

    def add(self, machine_id: str, entry: HistoryEntry, on: Any = None) -> None:
        """Put an entry on top, and count it. on: a pipeline that is yet to be executed."""
        pipe = on if on is not None else self._redis.pipeline(transaction=False)
        pipe.lpush(history_key(machine_id), json.dumps(asdict(entry)))
        pipe.ltrim(history_key(machine_id), 0, KEPT - 1)
        count_operation(pipe, entry.operation, entry.outcome, (entry.ended_ms - entry.started_ms) / 1000)
        if on is None:
            pipe.execute()


def history_key(machine_id: str) -> str:
    """The key of a machine's history."""
    return f"om:history:{machine_id}"


def read_entry(text: bytes | str) -> HistoryEntry:
    """The entry that stands in Redis as `text`."""
    return HistoryEntry(**json.loads(text))
