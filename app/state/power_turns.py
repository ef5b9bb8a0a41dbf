"""Turns to draw power: machines are powered on and reset one after the other (`--max-power-ons-per-minute`).

Evenly spaced, not so many in any minute: what trips a rack's fuse is the current of the first second, in which power
supplies charge and fans and disks spin up. Thirty machines in one second and none for the rest of the minute would.

A machine that waits stands in a line, in the order of asking, and is called in its turn: its task is sent. Whoever is
called has a place until it has sent its command, or has ended without. Right before the command the task takes its
moment, which is what binds: no two are closer than the pause. A moment that is not used is given back.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

import redis

from app.machine.sentences import duration
from app.state.lease import lease_key, queued_key
from app.state.mirror_keys import machine_key
from app.state.waiting import TURN, rate_words

NEXT, LINE, SEEN, CALLED = "om:power-turns:next", "om:power-turns:line", "om:power-turns:seen", "om:power-turns:called"
# Between call and command a task confirms, logs in and arms the boot: so long before its moment it is sent.
LEAD_MS: Final = 2_000
# A task does not sit on a session with a BMC for longer, but ends, and is called anew.
MOST_WAIT_MS: Final = 5_000
# Who waits asks this often at least, to move up where others have left; who did not ask for longer has left.
AGAIN_S: Final = 30.0
_LEFT_MS: Final = 90_000
_KEPT_S: Final = 600

# No moment is further ahead than the pause and MOST_WAIT_MS: one that is was taken before the clock was put back.
_NEXT_LUA = """
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local me, pause, most = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local function keep_next(at)
  redis.call('SET', KEYS[1], string.format('%.0f', at), 'PX', math.ceil(at - now) + 1000)
end
local next = tonumber(redis.call('GET', KEYS[1]) or '0')
if next > now + pause + most then
  next = now + pause
  keep_next(next)
end
"""
_ASK_LUA = f"""
{_NEXT_LUA}
local lead = tonumber(ARGV[4])
redis.call('SREM', KEYS[4], me)
for _, id in ipairs(redis.call('SMEMBERS', KEYS[4])) do
  if redis.call('EXISTS', ARGV[7] .. id, ARGV[8] .. id) == 0 then redis.call('SREM', KEYS[4], id) end
end
local function leave(id)
  redis.call('ZREM', KEYS[2], id)
  redis.call('ZREM', KEYS[3], id)
end
for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', now - tonumber(ARGV[5]))) do leave(id) end
for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[3], now + 1000, '+inf')) do leave(id) end
redis.call('ZADD', KEYS[2], 'NX', now, me)
redis.call('ZADD', KEYS[3], now, me)
local before = redis.call('SCARD', KEYS[4]) + redis.call('ZRANK', KEYS[2], me)
local wait = math.max(0, next - now) + before * pause
if wait > lead then
  redis.call('HSET', KEYS[5], '{TURN}', string.format('%.0f %s', now + wait, ARGV[9]))
else
  leave(me)
  redis.call('SADD', KEYS[4], me)
  redis.call('HDEL', KEYS[5], '{TURN}')
  wait = 0
end
for i = 2, 4 do redis.call('EXPIRE', KEYS[i], ARGV[6]) end
return math.ceil(wait)
"""
_TAKE_LUA = f"""
{_NEXT_LUA}
local at = math.max(now, next)
if at - now > most then return {{0, at - now}} end
keep_next(at + pause)
redis.call('SREM', KEYS[2], me)
return {{at, at - now}}
"""
_GIVE_BACK_LUA = """
if redis.call('GET', KEYS[1]) == string.format('%.0f', ARGV[1] + ARGV[2]) then
  redis.call('SET', KEYS[1], string.format('%.0f', ARGV[1]), 'KEEPTTL')
end
"""


@dataclass(frozen=True, slots=True)
class Moment:
    """When a machine may draw power. wait_s: until then. at_ms: 0 where it is too long to wait for, and not taken."""

    at_ms: int
    wait_s: float


class PowerTurns:
    """Gives out turns. Every call may raise `redis.RedisError`.

    most: power-ons and resets a minute; 0 = no limit, and Redis is not asked.
    """

    def __init__(self, client: redis.Redis, most: int) -> None:
        self._most = most
        self._pause_ms = max(1, math.ceil(60_000 / most)) if most else 0
        self._ask = client.register_script(_ASK_LUA)
        self._take = client.register_script(_TAKE_LUA)
        self._give_back = client.register_script(_GIVE_BACK_LUA)

    @property
    def limited(self) -> bool:
        """Whether there is a limit."""
        return self._most > 0

    def ask(self, machine_id: str) -> float:
        """Stand in the line: 0 where the machine is called now, which has a queued mark; else how long it waits (s)."""
        if not self._most:
            return 0.0
        keys = [NEXT, LINE, SEEN, CALLED, machine_key(machine_id)]
        limits = [self._pause_ms, MOST_WAIT_MS, LEAD_MS, _LEFT_MS, _KEPT_S]
        wait_ms: Any = self._ask(keys=keys, args=[machine_id, *limits, lease_key(""), queued_key(""), self._most])
        return float(wait_ms) / 1000

    def take(self, machine_id: str) -> Moment:
        """Take the next moment for a command, if it is within MOST_WAIT_MS."""
        if not self._most:
            return Moment(1, 0.0)
        at_ms, wait_ms = self._take(keys=[NEXT, CALLED], args=[machine_id, self._pause_ms, MOST_WAIT_MS])
        return Moment(int(at_ms), int(wait_ms) / 1000)

    def give_back(self, moment: Moment) -> None:
        """Nothing was sent: the moment is another one's, unless a later one has been taken since."""
        if self._most:
            self._give_back(keys=[NEXT], args=[moment.at_ms, self._pause_ms])

    def words(self, wait_s: float) -> str:
        """Why a machine waits, and for how long."""
        return f"it waits for its turn: {rate_words(self._most)}; about {duration(wait_s)} to go"
