"""Slots for wipes: how many machines may be wiped at a time (`--max-concurrent-wipes`).

A slot ends with its wipe, or five minutes after it was last renewed.
"""

from __future__ import annotations

import redis

SLOTS = "om:wipe-slots"
_SLOT_MS = 300_000

_TAKE_LUA = """
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
if not redis.call('ZSCORE', KEYS[1], ARGV[1]) and redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[2]) then return 0 end
redis.call('ZADD', KEYS[1], now + ARGV[3], ARGV[1])
return 1
"""


class WipeSlots:
    """Takes and frees slots. most: 0 = no bound."""

    def __init__(self, client: redis.Redis, most: int) -> None:
        self._redis = client
        self._most = most
        self._take = client.register_script(_TAKE_LUA)

    def take(self, machine_id: str) -> bool:
        """A slot for this machine; one that it has already is renewed."""
        return not self._most or bool(self._take(keys=[SLOTS], args=[machine_id, self._most, _SLOT_MS]))

    def free(self, machine_id: str) -> None:
        """The wipe is over."""
        if self._most:
            self._redis.zrem(SLOTS, machine_id)
