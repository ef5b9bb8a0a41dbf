"""What the BMCs said of the power, and when we last touched it: notes in the machine's hash.

A reading is known by the time at which it began, by Redis' clock. Of two readings the later one stands, whichever
comes in last; and none from before our last act is noted, for it tells of a machine as it was. What a BMC said last is
kept where it cannot be read any more.
"""

from __future__ import annotations

from collections.abc import Mapping

import redis

from app.machine.model import PowerState
from app.state.mirror_keys import machine_key
from app.state.wake import ALARMS

# A change wakes the watcher, unless an operation has seen it: its end does. The same answer again only refreshes its
# time. A time ahead of the clock stands from before the clock was put back, and bars nothing.
_OBSERVE_LUA = """
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local function barred(text, at)
  local stood = tonumber(text or '')
  return stood and stood <= now and at < stood
end
for i = 1, #ARGV, 3 do
  local key = KEYS[1 + (i + 2) / 3]
  local at = math.min(tonumber(ARGV[i + 2]) or now, now)
  local before = redis.call('HGET', key, 'f:power')
  local stood = before and string.match(before, '@(%d+)$')
  if not barred(stood, at) and not barred(redis.call('HGET', key, 'f:acted'), at) then
    redis.call('HSET', key, 'f:power', ARGV[i + 1] .. '@' .. string.format('%.0f', at))
    local state = before and string.match(before, '^[A-Z]+')
    local changed = state ~= ARGV[i + 1]
    if changed and ARGV[i + 2] ~= '' then
      redis.call('ZADD', KEYS[1], 'LT', now, ARGV[i])
    end
    if ARGV[i + 1] == 'UNKNOWN' and state and state ~= 'UNKNOWN' then
      redis.call('HSET', key, 'f:power-said', before)
    end
  end
end
"""
_ACTED_LUA = """
local t = redis.call('TIME')
redis.call('HSET', KEYS[1], 'f:acted', string.format('%.0f', t[1] * 1000 + math.floor(t[2] / 1000)))
"""
_JUST_NOW = ""


class PowerNotes:
    """Writes the notes on power."""

    def __init__(self, client: redis.Redis) -> None:
        self._observe = client.register_script(_OBSERVE_LUA)
        self._acted = client.register_script(_ACTED_LUA)

    def observed(self, states: Mapping[str, PowerState]) -> None:
        """BMCs were read just now, by who holds the machines' leases; UNKNOWN where one could not be."""
        args = [text for machine_id, state in states.items() for text in (machine_id, state.name, _JUST_NOW)]
        if args:
            self._observe(keys=[ALARMS, *(machine_key(m) for m in states)], args=args)

    def observed_at(self, machine_id: str, state: PowerState, read_ms: int) -> None:
        """A BMC was read, beginning at `read_ms` by Redis' clock; dropped where something newer is known."""
        self._observe(keys=[ALARMS, machine_key(machine_id)], args=[machine_id, state.name, read_ms])

    def acted(self, machine_id: str) -> None:
        """An on, off or reset is about to be sent: whatever its agent said before is over."""
        self._acted(keys=[machine_key(machine_id)])
