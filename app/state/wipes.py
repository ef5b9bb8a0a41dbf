"""Slots for wipes: how many machines may be wiped at a time (`--max-concurrent-wipes`).

A machine holds its slot as long as a task is queued or an operation runs on it, so nothing has to free slots.
"""

from __future__ import annotations

import redis

from app.state.lease import lease_key, queued_key

SLOTS = "om:wipe-slots"

_TAKE_LUA = """
for _, id in ipairs(redis.call('SMEMBERS', KEYS[1])) do
  if redis.call('EXISTS', ARGV[3] .. id, ARGV[4] .. id) == 0 then redis.call('SREM', KEYS[1], id) end
end
local has = redis.call('SISMEMBER', KEYS[1], ARGV[1]) == 1
if not has and redis.call('SCARD', KEYS[1]) >= tonumber(ARGV[2]) then return 0 end
redis.call('SADD', KEYS[1], ARGV[1])
return 1
"""


class WipeSlots:
    """Takes slots. most: 0 = no bound."""

    def __init__(self, client: redis.Redis, most: int) -> None:
        self._most = most
        self._take = client.register_script(_TAKE_LUA)

    def take(self, machine_id: str) -> bool:
        """A slot for this machine, whose queued mark is set already."""
        if not self._most:
            return True
        return bool(self._take(keys=[SLOTS], args=[machine_id, self._most, lease_key(""), queued_key("")]))
