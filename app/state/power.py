"""What the BMCs said of the power, and when we last touched it: notes in the machine's hash.

A reading is known by the time at which it began, by Redis' clock. Of two readings the later one stands, whichever
comes in last; and none from before our last act is noted, for it tells of a machine as it was. Why a BMC could not be
read is noted until it can be.
"""

from __future__ import annotations

from collections.abc import Mapping

import redis

from app.machine.model import PowerState
from app.state.connection import now_ms
from app.state.facts import OTHER, REFUSED
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
for i = 1, #ARGV, 4 do
  local key = KEYS[1 + (i + 3) / 4]
  local at = math.min(tonumber(ARGV[i + 2]) or now, now)
  local before = redis.call('HGET', key, 'f:power')
  local stood = before and string.match(before, '@(%d+)$')
  if not barred(stood, at) and not barred(redis.call('HGET', key, 'f:acted'), at) then
    redis.call('HSET', key, 'f:power', ARGV[i + 1] .. '@' .. string.format('%.0f', at))
    local changed = not before or string.match(before, '^[A-Z]+') ~= ARGV[i + 1]
    if changed and ARGV[i + 2] ~= '' then
      redis.call('ZADD', KEYS[1], 'LT', now, ARGV[i])
    end
    if ARGV[i + 1] ~= 'UNKNOWN' then
      redis.call('HDEL', key, 'f:bmc-trouble')
    elseif ARGV[i + 3] ~= '' then
      local since = string.match(redis.call('HGET', key, 'f:bmc-trouble') or '', '^(%d+) ')
      redis.call('HSET', key, 'f:bmc-trouble', (since or string.format('%.0f', at)) .. ' ' .. ARGV[i + 3])
    end
  end
end
"""
_ACTED_LUA = """
local t = redis.call('TIME')
redis.call('HSET', KEYS[1], 'f:acted', string.format('%.0f', t[1] * 1000 + math.floor(t[2] / 1000)))
"""
_JUST_NOW = ""
# Words of a BMC are for a line or two on a page.
_MOST_WORDS = 300


class PowerNotes:
    """Writes the notes on power."""

    def __init__(self, client: redis.Redis) -> None:
        self._redis = client
        self._observe = client.register_script(_OBSERVE_LUA)
        self._acted = client.register_script(_ACTED_LUA)

    def observed(self, states: Mapping[str, PowerState]) -> None:
        """BMCs were read just now, by who holds the machines' leases; UNKNOWN where one could not be."""
        args = [text for machine_id, state in states.items() for text in (machine_id, state.name, _JUST_NOW, "")]
        if args:
            self._observe(keys=[ALARMS, *(machine_key(m) for m in states)], args=args)

    def observed_at(
        self, machine_id: str, state: PowerState, read_ms: int, trouble: str = "", *, refused: bool = False
    ) -> None:
        """A BMC was read, beginning at `read_ms` by Redis' clock; dropped where something newer is known.

        trouble: why it could not be read; refused: because it refuses the login. Where it is UNKNOWN without a word,
        what was said before stands.
        """
        words = _note(trouble, refused=refused) if trouble else ""
        self._observe(keys=[ALARMS, machine_key(machine_id)], args=[machine_id, state.name, read_ms, words])

    def login_refused(self, machine_id: str, words: str) -> None:
        """The BMC refused the login, and is not asked again for now."""
        note = f"{now_ms(self._redis)} {_note(words, refused=True)}"
        self._redis.hset(machine_key(machine_id), "f:bmc-trouble", note)

    def acted(self, machine_id: str) -> None:
        """An on, off or reset is about to be sent: whatever its agent said before is over."""
        self._acted(keys=[machine_key(machine_id)])


def _note(words: str, *, refused: bool) -> str:
    return f"{REFUSED if refused else OTHER} {words[:_MOST_WORDS]}"
