"""The registry of agents' tunnels: which gateway holds which machine, and when its agent last answered.

An entry lives 20 s and is renewed by its gateway every 5 s. Each tunnel gets a number that rises; of two tunnels of
one machine the lower number closes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import redis
import redis.asyncio

from app.omni.kinds import PICTURE_KINDS
from app.state.connection import as_fields
from app.state.facts import Tunnel
from app.state.lease import lease_key
from app.state.metrics import TUNNELS, TUNNELS_REFUSED, WITHOUT_TLS
from app.state.wake import ALARMS

# Four missed renewals: a gateway that pauses for a rewrite of Redis' file keeps its entries.
ENTRY_MS = 20_000
# An agent mostly answers its first call at once, and that wakes the watcher: one look then sees both.
_HELLO_WAIT_MS = 1_000
# The tunnel's end is of interest until long after every grace period.
_GONE_S = 86_400
# The notes of a machine of which Omni knows nothing, as those of its boots; each answer of its agent begins it anew.
_STRANGER_S = 86_400
# A gateway counts as lost after seconds; an hour leaves no doubt.
_FORGET_GATEWAY_MS = 3_600_000

_NOW = "local t = redis.call('TIME') local now = t[1] * 1000 + math.floor(t[2] / 1000) "
_WAKE = "redis.call('ZADD', KEYS[4], 'LT', now, ARGV[1]) "
_REGISTER_LUA = (
    _NOW
    + """
local last = tonumber(redis.call('GET', KEYS[2]) or '0')
local number = string.format('%.0f', math.max(last + 1, now))
redis.call('SET', KEYS[2], number, 'EX', ARGV[5])
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'gateway', ARGV[2], 'address', ARGV[3], 'tunnel', ARGV[4], 'number', number,
           'opened_ms', string.format('%.0f', now), 'hello_ms', '0')
redis.call('PEXPIRE', KEYS[1], ARGV[6])
redis.call('ZADD', KEYS[4], 'LT', now + ARGV[7], ARGV[1])
return number"""
)
_HELLO_LUA = (
    _NOW
    + """
if redis.call('HGET', KEYS[1], 'number') ~= ARGV[2] then
  if tonumber(redis.call('GET', KEYS[2]) or '0') > tonumber(ARGV[2]) then return 0 end
  return 1
end
local first = redis.call('HGET', KEYS[1], 'hello_ms') == '0'
redis.call('HSET', KEYS[1], 'hello_ms', string.format('%.0f', now))
redis.call('PEXPIRE', KEYS[1], ARGV[3])
redis.call('HSET', KEYS[3], 'f:hello', string.format('%.0f', now))
if first then """
    + _WAKE
    + """
end
for i = 5, #ARGV do if redis.call('HEXISTS', KEYS[3], ARGV[i]) == 1 then return 1 end end
redis.call('EXPIRE', KEYS[3], ARGV[4])
return 1
"""
)
_RENEW_LUA = (
    _NOW
    + """
local last = tonumber(redis.call('GET', KEYS[2]) or '0')
if last > tonumber(ARGV[2]) then return 0 end
if redis.call('HGET', KEYS[1], 'number') ~= ARGV[2] then
  local hello = '0'
  if tonumber(ARGV[5]) >= 0 then hello = string.format('%.0f', now - ARGV[5]) end
  redis.call('SET', KEYS[2], ARGV[2], 'EX', ARGV[7])
  redis.call('HSET', KEYS[1], 'gateway', ARGV[3], 'address', ARGV[4], 'tunnel', ARGV[8], 'number', ARGV[2],
             'opened_ms', ARGV[2], 'hello_ms', hello)
  """
    + _WAKE
    + """
end
redis.call('PEXPIRE', KEYS[1], ARGV[6])
return 1
"""
)
# The end of an operation wakes the watcher anyhow.
_UNREGISTER_LUA = (
    _NOW
    + """
if redis.call('HGET', KEYS[1], 'number') == ARGV[2] then
  redis.call('DEL', KEYS[1])
  redis.call('SET', KEYS[5], string.format('%.0f', now), 'EX', ARGV[3])
  if redis.call('EXISTS', KEYS[6]) == 0 then """
    + _WAKE
    + """
  end
end
return 1
"""
)
_REFUSED_LUA = (
    _NOW
    + """
local note = string.format('%.0f', now) .. ' ' .. ARGV[1]
redis.call('INCR', KEYS[7])
redis.call('SET', KEYS[8], ARGV[3] .. ' ' .. note, 'EX', ARGV[2])
redis.call('HSET', KEYS[3], 'f:refused-tunnel', note)
for i = 4, #ARGV do if redis.call('HEXISTS', KEYS[3], ARGV[i]) == 1 then return end end
redis.call('EXPIRE', KEYS[3], ARGV[2])
"""
)
_BEAT_LUA = (
    _NOW
    + """
redis.call('ZADD', KEYS[1], now, ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - ARGV[2])
redis.call('HSET', KEYS[2], ARGV[1], ARGV[3])
return now
"""
)

GATEWAYS = "om:gateways"
# The second tunnel that was refused last, of whichever machine: its id, the time in ms, the address. Kept for a day.
LAST_REFUSED = "om:tunnel-refused"


def agent_key(machine_id: str) -> str:
    """The key of a machine's registered tunnel."""
    return f"om:agent:{machine_id}"


def gone_key(machine_id: str) -> str:
    """The key that says when a machine's last tunnel ended."""
    return f"om:agent-gone:{machine_id}"


def _keys(machine_id: str) -> list[str]:
    return [
        agent_key(machine_id),
        f"om:agent-number:{machine_id}",
        f"om:m:{machine_id}",
        ALARMS,
        gone_key(machine_id),
        lease_key(machine_id),
    ]


def tunnel_of(fields: Mapping[bytes, bytes]) -> Tunnel | None:
    """The tunnel that the fields of a registry entry describe."""
    if not fields.get(b"number"):
        return None
    return Tunnel(
        gateway=fields[b"gateway"].decode(),
        address=fields[b"address"].decode(),
        number=int(fields[b"number"]),
        opened_ms=int(fields[b"opened_ms"]),
        hello_ms=int(fields[b"hello_ms"]),
        peer=fields.get(b"tunnel", b"").decode(),
    )


@dataclass(frozen=True, slots=True)
class Held:
    """A tunnel as its gateway knows it. peer: the address of its agent, '' where that is not known.

    hello_age_ms: how long ago its agent last answered, -1 = never: the hosts' clocks may differ from Redis'.
    """

    number: int
    hello_age_ms: int
    peer: str


class AgentRegistry:
    """The gateway's side of the registry. Every call may raise `redis.RedisError`: the tunnels live on then."""

    def __init__(self, client: redis.asyncio.Redis) -> None:
        self._redis = client
        self._register = client.register_script(_REGISTER_LUA)
        self._hello = client.register_script(_HELLO_LUA)
        self._renew = client.register_script(_RENEW_LUA)
        self._unregister = client.register_script(_UNREGISTER_LUA)
        self._refused = client.register_script(_REFUSED_LUA)
        self._beat = client.register_script(_BEAT_LUA)

    async def register(self, machine_id: str, gateway_id: str, address: str, tunnel_address: str) -> int:
        """Note a new tunnel, and wake the watcher soon. The answer is its number."""
        args: list[str | int] = [machine_id, gateway_id, address, tunnel_address, _GONE_S, ENTRY_MS, _HELLO_WAIT_MS]
        return int(await self._register(keys=_keys(machine_id), args=args))

    async def hello(self, machine_id: str, number: int) -> bool:
        """The agent answered now. False: a higher number is registered, so this tunnel must close."""
        args: list[str | int] = [machine_id, number, ENTRY_MS, _STRANGER_S, *(k.value for k in PICTURE_KINDS)]
        return bool(await self._hello(keys=_keys(machine_id), args=args))

    async def renew(self, gateway_id: str, address: str, held: Mapping[str, Held]) -> set[str]:
        """Keep the entries alive, put back those that were lost, and say which tunnels must close."""
        await self._beat(keys=[GATEWAYS, TUNNELS], args=[gateway_id, _FORGET_GATEWAY_MS, len(held)])
        superseded: set[str] = set()
        machines = list(held)
        for start in range(0, len(machines), 200):
            part = machines[start : start + 200]
            pipe = self._redis.pipeline(transaction=False)
            for machine_id in part:
                mine = held[machine_id]
                args: list[str | int] = [machine_id, mine.number, gateway_id, address, mine.hello_age_ms]
                args += [ENTRY_MS, _GONE_S, mine.peer]
                await self._renew(keys=_keys(machine_id), args=args, client=pipe)
            answers = await pipe.execute()
            superseded |= {m for m, kept in zip(part, answers, strict=True) if not kept}
        return superseded

    async def unregister(self, machine_id: str, number: int) -> None:
        """The tunnel ended: note when, if the entry is still its own, and wake the watcher, if nobody else will."""
        await self._unregister(keys=_keys(machine_id), args=[machine_id, number, _GONE_S])

    async def leave(self, gateway_id: str) -> None:
        """This gateway ends on purpose."""
        await self._redis.zrem(GATEWAYS, gateway_id)
        await self._redis.hdel(TUNNELS, gateway_id)

    async def holder(self, machine_id: str) -> Tunnel | None:
        """The tunnel that is registered for a machine, at whichever gateway."""
        return tunnel_of(as_fields(await self._redis.hgetall(agent_key(machine_id))))

    async def refused(self, machine_id: str, address: str) -> None:
        """A second tunnel of the machine, from this address, was refused: note and count it."""
        args: list[str | int] = [address, _STRANGER_S, machine_id, *(k.value for k in PICTURE_KINDS)]
        await self._refused(keys=[*_keys(machine_id), TUNNELS_REFUSED, LAST_REFUSED], args=args)

    async def count_without_tls(self) -> None:
        """A tunnel was opened without TLS although it is served."""
        await self._redis.incr(WITHOUT_TLS)


class AgentLookup:
    """The workers' side of the registry."""

    def __init__(self, client: redis.Redis) -> None:
        self._redis = client

    def find(self, machine_id: str) -> tuple[str, str, int] | None:
        """Gateway, its internal address, and the tunnel's number; None where no tunnel is registered."""
        tunnel = tunnel_of(as_fields(self._redis.hgetall(agent_key(machine_id))))
        return (tunnel.gateway, tunnel.address, tunnel.number) if tunnel else None
