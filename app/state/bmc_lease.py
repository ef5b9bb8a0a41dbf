"""One user per BMC at a time, everywhere: a lease in Redis for each BMC's place, with a lifetime.

Whoever talks to a BMC holds its lease, and has it live on before and during each call. One that nobody extends ends by
itself, so a dead holder keeps nobody away for longer than its lifetime. What is noted of the machine's BMC is read in
the same round trip in which its lease is taken: a sweep of a thousand BMCs pays for it once.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass

import redis

from app.state.bmc_notes import FOUND, NEXT, TROUBLE, BmcFound, BmcTrouble, found_of, trouble_of
from app.state.logins import REFUSED, REST_S, WORKED, unbelieved_key
from app.state.mirror_keys import QUARANTINE, machine_key

# As that of a machine: Redis may be away for some seconds, and a dead holder's BMC is free when its machine is.
LEASE_MS = 30_000

# A lease, a pause or a count that would live for longer than it may stands from before the clock was put back. Where it
# was put forward, or Redis was emptied, leases have ended that somebody still holds: nobody else gets one until those
# are back.
_TAKE_LUA = """
local function left(key, most)
  local ms = redis.call('PTTL', key)
  if ms > most or ms == -1 then redis.call('PEXPIRE', key, most) return most end
  return ms
end
local settles = redis.call('PTTL', KEYS[4])
if settles > 0 then return {'settles', settles} end
local held = left(KEYS[1], tonumber(ARGV[2]))
if held > 0 then return {'held', held} end
local pause = left(KEYS[2], tonumber(ARGV[3]))
if pause > 0 then return {'pause', pause} end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
left(KEYS[5], tonumber(ARGV[4]))
local t = redis.call('TIME')
return {'taken', t[1] * 1000 + math.floor(t[2] / 1000), redis.call('HMGET', KEYS[3], unpack(ARGV, 5)),
  redis.call('GET', KEYS[5]) or '0'}
"""
# One that has ended, or went with all of Redis, is taken again where nobody else has it.
_EXTEND_LUA = """
local held = redis.call('GET', KEYS[1])
if held and held ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
"""
# A late holder, whose lease ended and who does not know it yet, must not write over what its next one found out. That a
# login is refused counts from whoever says so. A lease that is kept has a pause below zero.
_NOTE_LUA = """
local holder = redis.call('GET', KEYS[1])
local pause = tonumber(ARGV[2])
if holder == ARGV[1] and pause >= 0 then
  redis.call('DEL', KEYS[1])
  if pause > 0 then redis.call('SET', KEYS[2], 1, 'PX', pause) end
end
for i = 4, #ARGV, 2 do
  if not holder or holder == ARGV[1] or ARGV[i] == ARGV[3] then
    if ARGV[i + 1] == '' then redis.call('HDEL', KEYS[3], ARGV[i])
    else redis.call('HSET', KEYS[3], ARGV[i], ARGV[i + 1]) end
  end
end
"""
_KEPT = -1

Notes = Mapping[str, str | bytes | int]


@dataclass(frozen=True, slots=True)
class Taken:
    """A lease that is ours, and what was noted when it was taken, at `at_ms` by Redis' clock.

    refused, worked: which login the BMC refused, and which one it took, sealed.
    unbelieved: how many logins it has refused lately in sessions that were then lost.
    """

    machine_id: str
    place: str
    token: str
    at_ms: int
    refused: bytes | None
    worked: bytes | None
    found: BmcFound | None
    trouble: BmcTrouble | None
    unbelieved: int = 0


@dataclass(frozen=True, slots=True)
class InUse:
    """The BMC cannot be had now.

    left_ms: at the latest it can then. paused: it is only let rest between sessions.
    settling: Redis was emptied or its clock put forward or back, and who uses the BMC is not known.
    """

    left_ms: int
    paused: bool = False
    settling: bool = False


class BmcLeases:
    """Takes, extends and gives back the leases on BMCs. Every call may raise `redis.RedisError`."""

    def __init__(self, client: redis.Redis, pause_ms: int) -> None:
        """Have a session with a BMC begin at least `pause_ms` after the one before, where that one asks for it."""
        self._redis = client
        self._pause_ms = pause_ms
        self._take = client.register_script(_TAKE_LUA)
        self._extend = client.register_script(_EXTEND_LUA)
        self._note = client.register_script(_NOTE_LUA)

    def take(self, machine_id: str, place: str) -> Taken | InUse:
        """Take the lease on the BMC at this place, whose notes stand with this machine."""
        token = secrets.token_hex(8)
        fields = (REFUSED, WORKED, FOUND, TROUBLE, NEXT)
        lives_ms = LEASE_MS, self._pause_ms, int(REST_S * 1000)
        how, number, *rows = self._take(keys=_keys(place, machine_id), args=[token, *lives_ms, *fields])
        if how != b"taken":
            return InUse(int(number), paused=how == b"pause", settling=how == b"settles")
        refused, worked, found, trouble, next_note = rows[0]
        said = found_of(found), trouble_of(trouble, next_note)
        return Taken(machine_id, place, token, int(number), refused, worked, *said, int(rows[1]))

    def extend(self, taken: Taken) -> bool:
        """Have it live on; False where somebody else has it."""
        return bool(self._extend(keys=_keys(taken.place, taken.machine_id), args=[taken.token, LEASE_MS]))

    def give_back(self, taken: Taken, notes: Notes, *, pause: bool) -> None:
        """End it, and write these notes, of which an empty one is taken away. pause: the BMC is let rest first.

        Where somebody else has it by now, only that a login is refused is written.
        """
        self._write(taken, notes, self._pause_ms if pause else 0)

    def note(self, taken: Taken, notes: Notes) -> None:
        """Write these notes likewise, and keep the lease."""
        self._write(taken, notes, _KEPT)

    def forget(self, machine_id: str, *names: str) -> None:
        """Take these notes away, whoever has the lease."""
        self._redis.hdel(machine_key(machine_id), *names)

    def _write(self, taken: Taken, notes: Notes, pause_ms: int) -> None:
        words = [word for note in notes.items() for word in note]
        self._note(keys=_keys(taken.place, taken.machine_id), args=[taken.token, pause_ms, REFUSED, *words])


def _keys(place: str, machine_id: str) -> list[str]:
    return [f"om:bmc:{place}", f"om:bmc-pause:{place}", machine_key(machine_id), QUARANTINE, unbelieved_key(place)]
