"""What a person has ordered to be done about a lost record, until it is: the last order counts."""

from __future__ import annotations

import redis

# Orders wait for a worker; longer than that nobody expects one to be carried out.
KEEP_S = 86_400


def record_order_key(machine_id: str) -> str:
    """The key that holds the operation that was ordered last."""
    return f"om:record-order:{machine_id}"


def note_record_order(client: redis.Redis, machine_id: str, operation: str) -> None:
    """It was ordered now; what was ordered before it and still waits is not to be done."""
    client.set(record_order_key(machine_id), operation, ex=KEEP_S)
