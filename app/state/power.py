"""What the BMCs said of the power, and when we last touched it: notes in the machine's hash."""

from __future__ import annotations

from collections.abc import Mapping

import redis

from app.machine.model import PowerState
from app.state.mirror import machine_key
from app.state.wake import ALARMS

# A change wakes the watcher; the same answer again only refreshes its time.
_OBSERVE_LUA = """
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
for i = 1, #ARGV, 2 do
  local key = KEYS[1 + (i + 1) / 2]
  local before = redis.call('HGET', key, 'f:power')
  redis.call('HSET', key, 'f:power', ARGV[i + 1] .. '@' .. string.format('%.0f', now))
  if not before or string.match(before, '^[A-Z]+') ~= ARGV[i + 1] then
    redis.call('ZADD', KEYS[1], 'LT', now, ARGV[i])
  end
end
"""
_ACTED_LUA = """
local t = redis.call('TIME')
redis.call('HSET', KEYS[1], 'f:acted', string.format('%.0f', t[1] * 1000 + math.floor(t[2] / 1000)))
"""


class PowerNotes:
    """Writes the notes on power."""

    def __init__(self, client: redis.Redis) -> None:
        self._observe = client.register_script(_OBSERVE_LUA)
        self._acted = client.register_script(_ACTED_LUA)

    def observed(self, states: Mapping[str, PowerState]) -> None:
        """BMCs were read just now; UNKNOWN where one could not be."""
        args = [text for machine_id, state in states.items() for text in (machine_id, state.name)]
        if args:
            self._observe(keys=[ALARMS, *(machine_key(m) for m in states)], args=args)

    def acted(self, machine_id: str) -> None:
        """An on, off or reset is about to be sent: whatever its agent said before is over."""
        self._acted(keys=[machine_key(machine_id)])
