"""The watcher's alarm clock: which machines are to be looked at, and when.

A sorted set of machine ids by due time. Any process may set an alarm; an earlier one is never pushed back.
"""

from __future__ import annotations

import redis

ALARMS = "om:wake"

WAKE_LUA = """
local t = redis.call('TIME')
local due = t[1] * 1000 + math.floor(t[2] / 1000) + tonumber(ARGV[1])
for i = 2, #ARGV do redis.call('ZADD', KEYS[1], 'LT', due, ARGV[i]) end
"""
_TAKE_LUA = """
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local ids = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, ARGV[1])
if #ids > 0 then redis.call('ZREM', KEYS[1], unpack(ids)) end
return ids
"""


class Alarms:
    """Alarms of all machines."""

    def __init__(self, client: redis.Redis) -> None:
        self._wake = client.register_script(WAKE_LUA)
        self._take = client.register_script(_TAKE_LUA)

    def wake(self, *machine_ids: str, after_s: float = 0.0) -> None:
        """Have these machines looked at in `after_s` seconds, or earlier if so set already."""
        if machine_ids:
            self._wake(keys=[ALARMS], args=[int(after_s * 1000), *machine_ids])

    def take(self, most: int) -> list[str]:
        """The machines that are due, which ends their alarms."""
        return [m.decode() for m in self._take(keys=[ALARMS], args=[most])]
