"""Which machines fetched a boot script lately: it creates their MachineStatus and opens `/config` for them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import redis

from app.omni.kinds import Kind
from app.state.clock import STEPPED
from app.state.metrics import BOOTS
from app.state.mirror_keys import MACHINES, machine_key
from app.state.wake import ALARMS

# From the boot script to Talos asking for its configuration take minutes at most; half an hour allows for slow disks.
WINDOW_S = 1_800
# Notes of a machine of which there is no resource are of no use after a day, and anybody can make up more of them than
# fit in memory: as many are kept as the watcher takes in (app/watcher/strangers.py), the last ones.
_STRANGER_S = 86_400
MOST_STRANGERS = 1_000
_STRANGERS = "om:strangers"
_TRACKED = "om:boots-tracked"

# That a machine booted is news to the watcher once: it makes the MachineStatus, or completes it. Of strangers that push
# others out it hears nothing, since it has no room for them either. Who has got a resource meanwhile is no stranger.
# Where the clock was put back, those from before would count as the newest.
_NOTE_LUA = """
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local news = redis.call('HEXISTS', KEYS[1], 'f:booted') == 0 or redis.call('HEXISTS', KEYS[1], ARGV[8]) == 0
redis.call('SET', KEYS[3], string.format('%.0f', now), 'NX')
redis.call('HSET', KEYS[1], 'f:booted', string.format('%.0f', now), 'f:mac', ARGV[6], 'f:serial', ARGV[7])
redis.call('SET', KEYS[4], ARGV[2], 'EX', ARGV[3])
redis.call('HINCRBY', KEYS[5], ARGV[5], 1)
if redis.call('SISMEMBER', KEYS[6], ARGV[1]) == 0 then
  redis.call('EXPIRE', KEYS[1], ARGV[4])
  redis.call('ZREMRANGEBYSCORE', KEYS[7], '-inf', now - ARGV[4] * 1000)
  redis.call('ZREMRANGEBYSCORE', KEYS[7], string.format('(%.0f', now), '+inf')
  redis.call('ZADD', KEYS[7], now, ARGV[1])
  local beyond = redis.call('ZCARD', KEYS[7]) - ARGV[9]
  if beyond > 0 then
    for _, id in ipairs(redis.call('ZRANGE', KEYS[7], 0, beyond - 1)) do
      redis.call('ZREM', KEYS[7], id)
      if redis.call('SISMEMBER', KEYS[6], id) == 0 then
        redis.call('HDEL', ARGV[10] .. id, 'f:booted', 'f:mac', 'f:serial')
        redis.call('DEL', ARGV[11] .. id)
        news = false
      end
    end
  end
end
if news then redis.call('ZADD', KEYS[2], 'LT', now, ARGV[1]) end
"""
# Where the clock was put forward, notes of boots have ended before their time; put back, it is before `since`.
_ALLOWED_LUA = """
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
redis.call('SET', KEYS[2], string.format('%.0f', now), 'NX')
local since = tonumber(redis.call('GET', KEYS[2]))
local stepped = tonumber(redis.call('GET', KEYS[3]) or '0')
if since > now then
  since = now
  redis.call('SET', KEYS[2], string.format('%.0f', now))
end
if stepped <= now then since = math.max(since, stepped) end
return {redis.call('GET', KEYS[1]) or '', (now - since < ARGV[1] * 1000) and 1 or 0, redis.call('EXISTS', KEYS[1])}
"""


@dataclass(frozen=True, slots=True)
class Named:
    """What firmware says of itself: the address of its network card, and its serial number."""

    mac: str = ""
    serial: str = ""


NAMELESS: Final = Named()


def _boot_key(machine_id: str) -> str:
    return f"om:boot:{machine_id}"


class Boots:
    """Notes boots, and tells whether a machine may have the machine configuration."""

    def __init__(self, client: redis.Redis) -> None:
        self._redis = client
        self._note = client.register_script(_NOTE_LUA)
        self._allowed = client.register_script(_ALLOWED_LUA)

    def note(self, machine_id: str, address: str | None, decision: str, named: Named = NAMELESS) -> None:
        """A boot script was fetched from this address: opens the window, counts it by decision, wakes the watcher."""
        keys = [machine_key(machine_id), ALARMS, _TRACKED, _boot_key(machine_id), BOOTS, MACHINES, _STRANGERS]
        args: list[str | int] = [machine_id, address or "", WINDOW_S, _STRANGER_S]
        args += [decision, named.mac, named.serial, Kind.MACHINE_STATUS.value]
        args += [MOST_STRANGERS, machine_key(""), _boot_key("")]
        self._note(keys=keys, args=args)

    def count(self, decision: str) -> None:
        """A boot was answered by which no machine boots."""
        self._redis.hincrby(BOOTS, decision, 1)

    def forget(self, machine_id: str) -> None:
        """The machine was removed: a boot from before says nothing about one that comes back."""
        self._redis.hdel(machine_key(machine_id), "f:booted")

    def lost(self) -> None:
        """Notes may be lost: for 30 minutes nobody knows which machines booted."""
        self._redis.delete(_TRACKED)

    def config_allowed(self, machine_id: str, address: str | None, *, match_address: bool) -> bool:
        """Whether this machine booted in the last 30 minutes, or that cannot be known yet.

        match_address: the boot must have come from the same address.
        """
        keys = [_boot_key(machine_id), _TRACKED, STEPPED]
        booted_from, too_early, booted = self._allowed(keys=keys, args=[WINDOW_S])
        if not booted:
            return bool(too_early)
        return not match_address or booted_from.decode() == (address or "")
