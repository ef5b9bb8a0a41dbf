"""One operation per machine at a time: the lease, its fencing numbers, and the mark of a queued task.

A lease lives 30 s and is renewed every 10 s. A fencing number is max(last + 1, Redis' clock in ms), so it rises even
across an emptied Redis. A holder whose lease is gone takes it again only if no other number was given out since.
"""

from __future__ import annotations

import enum
import json
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import redis

from app.state.connection import as_bytes
from app.state.wake import ALARMS, WAKE_LUA

LEASE_MS = 30_000
RENEW_EVERY_S = 10.0
# A task that a dead broker swallowed is enqueued again after this.
QUEUED_S = 300
# A Redis that restarts is back within two seconds.
UNMARK_TRIES, UNMARK_PAUSE_S = 10, 0.2
# Longer than any operation's pause, so that a number is never forgotten while its holder lives.
_FENCE_TTL_S = 172_800

_TAKE_LUA = """
local held = redis.call('GET', KEYS[1])
if held then return {0, held} end
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local last = tonumber(redis.call('GET', KEYS[2]) or '0')
local fence = math.max(last + 1, now)
local text = string.format('%.0f', fence)
local lease = cjson.encode({fence = text, op = ARGV[1], task = ARGV[2], since_ms = string.format('%.0f', now)})
redis.call('SET', KEYS[2], text, 'EX', ARGV[3])
redis.call('SET', KEYS[1], lease, 'PX', ARGV[4])
redis.call('DEL', KEYS[3])
return {1, lease}
"""
_RENEW_LUA = """
local held = redis.call('GET', KEYS[1])
if held then
  if held == ARGV[1] then redis.call('PEXPIRE', KEYS[1], ARGV[3]) return 'kept' end
  return 'lost'
end
local last = redis.call('GET', KEYS[2])
if last and last ~= ARGV[2] then return 'lost' end
redis.call('SET', KEYS[2], ARGV[2], 'EX', ARGV[4])
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[3])
return 'retaken'
"""
_GIVE_BACK_LUA = f"""
if redis.call('GET', KEYS[2]) == table.remove(ARGV) then redis.call('DEL', KEYS[2]) end
{WAKE_LUA}
"""
_QUEUE_LUA = """
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
if redis.call('SET', KEYS[2], ARGV[1], 'NX', 'EX', ARGV[2]) then return 1 end
return 0
"""


class Renewal(enum.StrEnum):
    """What became of a lease at its renewal."""

    KEPT = "kept"
    RETAKEN = "retaken"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class Lease:
    """A lease on a machine. `text` is its exact value in Redis; since_ms is when it was taken."""

    machine_id: str
    operation: str
    task_id: str
    fence: int
    since_ms: int
    text: str


def lease_key(machine_id: str) -> str:
    """The key of a machine's lease."""
    return f"om:lease:{machine_id}"


def queued_key(machine_id: str) -> str:
    """The key of a machine's queued mark."""
    return f"om:queued:{machine_id}"


def longest_lives_ms(machine_ids: Iterable[str]) -> dict[str, int]:
    """How long the keys of these machines' leases and marks may live at most."""
    lives = {lease_key: LEASE_MS, queued_key: QUEUED_S * 1000}
    return {key(machine_id): most_ms for machine_id in machine_ids for key, most_ms in lives.items()}


def _fence_key(machine_id: str) -> str:
    return f"om:fence:{machine_id}"


def parse(machine_id: str, text: bytes) -> Lease:
    """The lease that stands in Redis as `text`."""
    held = json.loads(text)
    return Lease(machine_id, held["op"], held["task"], int(held["fence"]), int(held["since_ms"]), text.decode())


class Leases:
    """Takes, renews and gives back leases, and sets the queued marks."""

    def __init__(self, client: redis.Redis) -> None:
        self._redis = client
        self._take = client.register_script(_TAKE_LUA)
        self._renew = client.register_script(_RENEW_LUA)
        self._give_back = client.register_script(_GIVE_BACK_LUA)
        self._queue = client.register_script(_QUEUE_LUA)

    def take(self, machine_id: str, operation: str, task_id: str) -> tuple[Lease, bool]:
        """Take the lease: (ours, True), or (the one that stands, False). Taking it ends the queued mark."""
        keys = [lease_key(machine_id), _fence_key(machine_id), queued_key(machine_id)]
        taken, text = self._take(keys=keys, args=[operation, task_id, _FENCE_TTL_S, LEASE_MS])
        lease = parse(machine_id, text)
        return lease, bool(taken)

    def renew(self, lease: Lease) -> Renewal:
        """Renew it, or take it again where it vanished and no other number was given out."""
        keys = [lease_key(lease.machine_id), _fence_key(lease.machine_id)]
        answer = self._renew(keys=keys, args=[lease.text, lease.fence, LEASE_MS, _FENCE_TTL_S])
        return Renewal(answer.decode())

    def give_back(self, lease: Lease, look_again_s: float = 0.0) -> None:
        """End the lease, if it is still ours, and have the machine looked at in so many seconds."""
        keys = [ALARMS, lease_key(lease.machine_id)]
        self._give_back(keys=keys, args=[int(look_again_s * 1000), lease.machine_id, lease.text])

    def current(self, machine_id: str) -> Lease | None:
        """The lease that stands on a machine."""
        text = self._redis.get(lease_key(machine_id))
        return None if text is None else parse(machine_id, as_bytes(text))

    def at_work(self, machine_ids: Sequence[str]) -> dict[str, str]:
        """The operation that runs on each of these machines, or else is queued for it, where there is one."""
        if not machine_ids:
            return {}
        keys = [key(machine_id) for key in (lease_key, queued_key) for machine_id in machine_ids]
        rows = self._redis.mget(keys)
        found: dict[str, str] = {}
        for machine_id, held, queued in zip(machine_ids, rows, rows[len(machine_ids) :], strict=False):
            if held is not None:
                found[machine_id] = parse(machine_id, as_bytes(held)).operation
            elif queued is not None:
                found[machine_id] = as_bytes(queued).decode()
        return found

    def fence(self, machine_id: str) -> int:
        """The highest fencing number given out for a machine; 0 where none is known."""
        return int(self._redis.get(_fence_key(machine_id)) or 0)

    def mark_queued(self, machine_id: str, operation: str) -> bool:
        """Mark that a task is queued; False where one is queued or an operation runs."""
        keys = [lease_key(machine_id), queued_key(machine_id)]
        return bool(self._queue(keys=keys, args=[operation, QUEUED_S]))

    def unmark_queued(self, machine_id: str) -> None:
        """Take the mark off: the task could not be sent, or a person wants another one."""
        self._redis.delete(queued_key(machine_id))


def unmark_queued(leases: Leases, machine_id: str) -> None:
    """Take the mark off though Redis falters, else nothing would be enqueued for minutes."""
    for _ in range(UNMARK_TRIES):
        try:
            leases.unmark_queued(machine_id)
        except redis.RedisError:
            time.sleep(UNMARK_PAUSE_S)
        else:
            return
