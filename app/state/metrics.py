"""What is counted for `/metrics`, in Redis, so that every web process of a site tells the same.

Counting takes no round trip of its own: it is put on pipelines and scripts that run anyway. Where Redis was emptied
the counters begin at 0 again, as after a restart.
"""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from typing import Any, Final

import redis

from app.state.connection import as_bytes, as_fields, now_ms

OPERATIONS: Final = "om:metrics:operations"
DURATIONS: Final = "om:metrics:durations"
BOOTS: Final = "om:metrics:boots"
SWEEPS: Final = "om:metrics:sweeps"
TUNNELS: Final = "om:metrics:tunnels"
WITHOUT_TLS: Final = "om:metrics:tunnels-without-tls"
TUNNELS_REFUSED: Final = "om:metrics:tunnels-refused"
RATE_LIMITED: Final = "om:metrics:boots-rate-limited"
CONFIG_REFUSED: Final = "om:metrics:config-refused"
# From a power command to a night of writing zeroes.
BUCKETS_S: Final = (0.1, 0.3, 1, 3, 10, 30, 60, 300, 900, 3_600, 14_400, 86_400)
# A part of a sweep that has not run for this long is no part any more: there are fewer machines.
_SWEEP_MS: Final = 600_000
QUEUES: Final = ("bmc", "poll", "wipe")
# When the message was sent, in ms since 1970: a header of ours, since Celery has none.
SENT_HEADER: Final = "sent_ms"


@dataclass(frozen=True, slots=True)
class Duration:
    """How long the attempts at an operation took. buckets: how many took at most BUCKETS_S[i], the last one all."""

    buckets: tuple[int, ...]
    total_s: float


@dataclass(frozen=True, slots=True)
class Sweep:
    """The last reading of all BMCs.

    unread: of how many the power could not be read. in_use: how many were left out since an operation reads them.
    put_off: how many were left out since they have failed before, and are asked now and then only.
    """

    took_s: float
    ended_ago_s: float
    unread: int
    in_use: int = 0
    put_off: int = 0


@dataclass(frozen=True, slots=True)
class Queue:
    """Tasks that no worker has taken yet. oldest_s: how long the first of them waits; None where that is not known."""

    depth: int
    oldest_s: float | None


@dataclass(frozen=True, slots=True)
class Counted:
    """All that was counted. operations: by name and outcome; tunnels: by gateway, ended ones among them.

    without_tls: tunnels that were opened without TLS although it is served.
    tunnels_refused: second tunnels of machines whose agent answered at the first one.
    rate_limited: boot requests that were too many from one address.
    config_refused: how often `/config` was refused.
    """

    operations: dict[tuple[str, ...], int]
    durations: dict[str, Duration]
    boots: dict[str, int]
    tunnels: dict[str, int]
    without_tls: int
    tunnels_refused: int
    rate_limited: int
    config_refused: int
    sweep: Sweep | None
    queues: dict[str, Queue]


def count_operation(pipe: Any, operation: str, outcome: str, took_s: float) -> None:
    """Count an attempt, on a pipeline."""
    bucket = next((i for i, limit_s in enumerate(BUCKETS_S) if took_s <= limit_s), len(BUCKETS_S))
    pipe.hincrby(OPERATIONS, f"{operation} {outcome}", 1)
    pipe.hincrby(DURATIONS, f"{operation} {bucket}", 1)
    pipe.hincrbyfloat(DURATIONS, f"{operation} sum", round(max(0.0, took_s), 3))


def count_skip(client: redis.Redis, operation: str) -> None:
    """Count an attempt that found nothing to do."""
    client.hincrby(OPERATIONS, f"{operation} skipped", 1)


def count_rate_limited(client: redis.Redis, number: int) -> None:
    """Count boot requests that were too many from one address."""
    client.incrby(RATE_LIMITED, number)


def note_sweep(
    client: redis.Redis, part: int, began_ms: int, unread: int, *, in_use: int = 0, put_off: int = 0
) -> None:
    """One part of a sweep has ended now. began_ms: by Redis' clock."""
    client.hset(SWEEPS, str(part), json.dumps([began_ms, now_ms(client), unread, in_use, put_off]))


def read(client: redis.Redis, here_ms: int) -> Counted:
    """All that was counted, in one round trip. here_ms: this host's clock, for what was sent by one like it."""
    pipe = client.pipeline(transaction=False)
    pipe.time()
    for key in (OPERATIONS, DURATIONS, BOOTS, TUNNELS, SWEEPS):
        pipe.hgetall(key)
    for queue in QUEUES:
        pipe.llen(queue)
        pipe.lindex(queue, -1)  # the transport puts new ones in front
    pipe.mget(WITHOUT_TLS, TUNNELS_REFUSED, RATE_LIMITED, CONFIG_REFUSED)
    (seconds, micros), operations, durations, boots, tunnels, sweeps, *rows, plain = pipe.execute()
    without_tls, tunnels_refused, rate_limited, config_refused = (int(count or 0) for count in plain)
    redis_ms = int(seconds) * 1000 + int(micros) // 1000
    return Counted(
        operations={_pair(name): int(count) for name, count in as_fields(operations).items()},
        durations=_durations(as_fields(durations)),
        boots=_numbers(boots),
        tunnels=_numbers(tunnels),
        without_tls=without_tls,
        tunnels_refused=tunnels_refused,
        rate_limited=rate_limited,
        config_refused=config_refused,
        sweep=_sweep([json.loads(text) for text in as_fields(sweeps).values()], redis_ms),
        queues={q: Queue(int(rows[2 * i]), _waits_s(rows[2 * i + 1], here_ms)) for i, q in enumerate(QUEUES)},
    )


def _pair(name: bytes) -> tuple[str, str]:
    operation, _, outcome = name.decode().partition(" ")
    return operation, outcome


def _numbers(fields: object) -> dict[str, int]:
    return {name.decode(): int(value) for name, value in as_fields(fields).items()}


def _durations(fields: dict[bytes, bytes]) -> dict[str, Duration]:
    counts: dict[str, list[int]] = defaultdict(lambda: [0] * (len(BUCKETS_S) + 1))
    sums: dict[str, float] = {}
    for name, value in fields.items():
        operation, what = _pair(name)
        if what == "sum":
            sums[operation] = float(value)
        elif int(what) <= len(BUCKETS_S):
            counts[operation][int(what)] = int(value)
    return {
        name: Duration(tuple(sum(row[: i + 1]) for i in range(len(row))), sums.get(name, 0.0))
        for name, row in counts.items()
    }


def _sweep(parts: list[list[int]], redis_ms: int) -> Sweep | None:
    """The newest reading: all parts that were read lately, from the first one's begin to the last one's end."""
    fresh = [part for part in parts if redis_ms - part[1] <= _SWEEP_MS]
    if not fresh:
        return None
    took_ms = max(ended - began for began, ended, *_ in fresh)
    spread_ms = max(ended for _, ended, *_ in fresh) - min(began for began, *_ in fresh)
    # Parts of one sweep overlap; where a sweep is under way, some are of the one before.
    overlap = spread_ms <= sum(ended - began for began, ended, *_ in fresh)
    # A worker of an earlier version tells only of those that could not be read.
    unread, in_use, put_off = (sum(sum(part[i : i + 1]) for part in fresh) for i in (2, 3, 4))
    return Sweep(
        took_s=(spread_ms if overlap else took_ms) / 1000,
        ended_ago_s=max(0, redis_ms - max(ended for _, ended, *_ in fresh)) / 1000,
        unread=unread,
        in_use=in_use,
        put_off=put_off,
    )


def _waits_s(message: object, here_ms: int) -> float | None:
    if message is None:
        return 0.0
    try:
        sent_ms = json.loads(as_bytes(message))["headers"][SENT_HEADER]
        return float(max(0, here_ms - int(sent_ms))) / 1000
    except (ValueError, KeyError, TypeError):
        return None  # not sent by us, as from Flower
