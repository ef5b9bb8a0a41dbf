"""The registry of agents' tunnels: which gateway holds which machine, and when its agent last answered.

An entry lives 20 s and is renewed by its gateway every 5 s. Each tunnel has a number, which rises. A machine has one
entry: `app.state.agent_scripts` says which of its tunnels that is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import redis
import redis.asyncio

from app.state import agent_scripts
from app.state.connection import as_bytes, as_fields
from app.state.facts import Tunnel
from app.state.lease import lease_key
from app.state.metrics import TUNNELS, TUNNELS_REFUSED, WITHOUT_TLS
from app.state.mirror_keys import MACHINES, machine_key
from app.state.wake import ALARMS

# Four missed renewals: a gateway that pauses for a rewrite of Redis' file keeps its entries.
ENTRY_MS = 20_000
# An agent mostly answers its first call at once, and that wakes the watcher: one look then sees both.
_HELLO_WAIT_MS = 1_000
# The tunnel's end is of interest until long after every grace period.
_GONE_S = 86_400
# The last refusal is of interest to whoever comes the next day.
_REFUSED_S = 86_400
# A gateway counts as lost after seconds; an hour leaves no doubt.
_FORGET_GATEWAY_MS = 3_600_000

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
        machine_key(machine_id),
        ALARMS,
        gone_key(machine_id),
        lease_key(machine_id),
        MACHINES,
    ]


def _renewal(
    machine_id: str, gateway_id: str, address: str, mine: Held, *, answered: bool = False
) -> list[str | int]:
    args: list[str | int] = [machine_id, mine.number, gateway_id, address, mine.hello_age_ms]
    return [*args, ENTRY_MS, _GONE_S, mine.peer, mine.age_ms, int(answered)]


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


class Standing(StrEnum):
    """How a tunnel stands in the registry."""

    KEPT = "kept"
    # It must close.
    LOST = "lost"
    # Another one stands, or did: it closes unless its agent answers.
    CONTESTED = "contested"


@dataclass(frozen=True, slots=True)
class Held:
    """A tunnel as its gateway knows it. peer: the address of its agent, '' where that is not known.

    age_ms: how long ago it was opened; the hosts' clocks may differ from Redis'.
    hello_age_ms: how long ago its agent last answered, -1 = never.
    """

    number: int
    age_ms: int
    hello_age_ms: int
    peer: str


class AgentRegistry:
    """The gateway's side of the registry. Every call may raise `redis.RedisError`: the tunnels live on then."""

    def __init__(self, client: redis.asyncio.Redis) -> None:
        self._redis = client
        self._register = client.register_script(agent_scripts.REGISTER)
        self._hello = client.register_script(agent_scripts.HELLO)
        self._renew = client.register_script(agent_scripts.RENEW)
        self._unregister = client.register_script(agent_scripts.UNREGISTER)
        self._refused = client.register_script(agent_scripts.REFUSED)
        self._beat = client.register_script(agent_scripts.BEAT)

    async def register(
        self, machine_id: str, gateway_id: str, address: str, tunnel_address: str, *, age_ms: int = 0, over: int = 0
    ) -> tuple[int, bool]:
        """Note a new tunnel, and wake the watcher soon.

        Args:
            machine_id: whose tunnel it is.
            gateway_id: the gateway that holds it.
            address: where that one is called, host:port.
            tunnel_address: where its agent came from.
            age_ms: how long ago it was opened, where Redis missed that; else 0.
            over: the number of the tunnel from another address whose agent did not answer; 0 = there was none.

        Returns:
            Its number, and whether it stands; it does not where one from another address does at another gateway.
        """
        args: list[str | int] = [machine_id, gateway_id, address, tunnel_address, _GONE_S, ENTRY_MS, _HELLO_WAIT_MS]
        args += [over, age_ms]
        number, stands = await self._register(keys=_keys(machine_id), args=args)
        return int(number), bool(stands)

    async def hello(self, machine_id: str, number: int) -> bool:
        """The agent answered now. False: the entry is not that of this tunnel, so `claim` it."""
        args: list[str | int] = [machine_id, number, ENTRY_MS]
        return bool(await self._hello(keys=_keys(machine_id), args=args))

    async def claim(self, machine_id: str, gateway_id: str, address: str, mine: Held) -> Standing:
        """Take the entry back for a tunnel whose agent has just answered; KEPT or LOST."""
        args = _renewal(machine_id, gateway_id, address, mine, answered=True)
        return Standing(as_bytes(await self._renew(keys=_keys(machine_id), args=args)).decode())

    async def renew(self, gateway_id: str, address: str, held: Mapping[str, Held]) -> dict[str, Standing]:
        """Keep the entries alive, put back those that were lost, and say which tunnels are LOST or CONTESTED."""
        await self._beat(keys=[GATEWAYS, TUNNELS], args=[gateway_id, _FORGET_GATEWAY_MS, len(held)])
        standing: dict[str, Standing] = {}
        machines = list(held)
        for start in range(0, len(machines), 200):
            part = machines[start : start + 200]
            pipe = self._redis.pipeline(transaction=False)
            for machine_id in part:
                args = _renewal(machine_id, gateway_id, address, held[machine_id])
                await self._renew(keys=_keys(machine_id), args=args, client=pipe)
            answers = [Standing(as_bytes(answer).decode()) for answer in await pipe.execute()]
            standing |= {m: s for m, s in zip(part, answers, strict=True) if s is not Standing.KEPT}
        return standing

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
        args: list[str | int] = [address, _REFUSED_S, machine_id]
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
