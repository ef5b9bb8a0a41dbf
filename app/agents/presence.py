"""Which machines this gateway holds, kept in step with the registry in Redis.

A machine's newest tunnel is held here: whether it may be one is decided before (`app.agents.second_tunnel`). Between
gateways the registry says which one stands, and where ours does not, it closes, unless that is contested: while a
gateway is paused, or Redis is away or empty, a tunnel from another address may have come in unasked. Then our agent is
greeted, and if it answers the older tunnel takes the machine back. So a stranger never cuts a tunnel that lives.

While Redis is away new ones are accepted, and the renewal that succeeds again tells it what it missed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from time import monotonic
from typing import Any, Final, TypeVar

import redis
import structlog

from app.agents.agent import Agent
from app.agents.errors import AgentGone
from app.agents.patience import done_within
from app.agents.registry import Registry
from app.agents.session import Session, greet
from app.state.agents import Standing
from app.state.facts import Tunnel as Registered

log = structlog.get_logger()

_T = TypeVar("_T")

# The entries live 20 s, so three renewals may be missed.
RENEW_EVERY_S: Final = 5.0
# A rack that dials at once must not open a thousand connections to Redis.
REGISTRY_CALLS_AT_ONCE: Final = 16
# An agent that dials waits for this answer. Redis mostly takes a millisecond.
HOLDER_LIMIT_S: Final = 2.0
# Goodbyes to the registry at the end; entries that are not taken out vanish by themselves in 20 s.
FAREWELL_LIMIT_S: Final = 2.0
_SUPERSEDED: Final = "the machine has opened a newer tunnel at another gateway"
_SECOND: Final = "the machine has a tunnel from another address at another gateway"


class RegistrySilent(Exception):
    """Redis has not said in time who holds a machine, and is not known to be away."""


class Presence:
    """The sessions of this gateway, the newest of each machine."""

    def __init__(self, registry: Registry, gateway_id: str, address: str) -> None:
        self._registry = registry
        self.gateway_id = gateway_id
        self._address = address
        self._held: dict[str, Session] = {}
        self._places = asyncio.Semaphore(REGISTRY_CALLS_AT_ONCE)
        self._outage = False
        self._closed = False
        self._started: set[asyncio.Task[Any]] = set()
        self._contested: set[Session] = set()

    def __len__(self) -> int:
        return len(self._held)

    def agent(self, machine_id: str) -> Agent:
        """The agent of a machine. Raises AgentGone."""
        session = self._held.get(machine_id)
        if session is None:
            raise AgentGone("the machine has no tunnel to this gateway")
        return session.agent

    def held(self, machine_id: str) -> Session | None:
        """The tunnel of a machine in this gateway."""
        return self._held.get(machine_id)

    async def registered(self, machine_id: str) -> Registered | None:
        """The tunnel of a machine in whichever gateway; None where there is none, or in an outage of Redis.

        Raises RegistrySilent.
        """
        asking = self._start(self._tell(lambda: self._registry.holder(machine_id)))
        if await done_within(asking, HOLDER_LIMIT_S):  # not cut short: it would cost the connection to Redis
            return asking.result()
        if self._outage:
            return None
        raise RegistrySilent

    async def refused(self, session: Session) -> None:
        """A second tunnel of a machine was not let in."""
        telling = self._tell(lambda: self._registry.refused(session.machine_id, session.address))
        await asyncio.shield(self._start(telling))

    def arrive(self, session: Session) -> Awaitable[None]:
        """Hold a new tunnel from now on; an older one of the same machine closes. Wait to have the registry told."""
        older = self._held.get(session.machine_id)
        self._held[session.machine_id] = session
        if older is not None:
            older.close("the machine has opened a newer tunnel")
        # Not cut short when the tunnel ends meanwhile: a number once given out has to be given back, and the next
        # tunnel waits until this one is settled.
        return asyncio.shield(self._start(self._register_after(session, older)))

    async def answered(self, session: Session) -> None:
        """The session's agent has answered a greeting now."""
        session.answered_s = monotonic()
        if session.number is not None and await self._tell_hello(session, session.number) is False:
            await self._claim(session, session.number)

    def depart(self, session: Session) -> None:
        """A tunnel has ended. May be called again; that of a machine which has a newer one is no news."""
        if self._held.get(session.machine_id) is session:
            del self._held[session.machine_id]
        number, session.number = session.number, None
        if number is not None:
            self._start(self._unregister(session.machine_id, number))

    def count_without_tls(self) -> None:
        """A tunnel was opened without TLS although it is served."""
        self._start(self._tell(self._registry.count_without_tls))

    async def renew(self) -> None:
        """Tell the registry what is held, close what it knows a newer tunnel of, and catch up after an outage."""
        numbers = {m: s.number for m, s in self._held.items() if s.number is not None}
        held = {m: self._held[m].as_held(number) for m, number in numbers.items()}
        try:
            standing = await self._registry.renew(self.gateway_id, self._address, held)
        except redis.RedisError as error:
            self._note_outage(error)
            return
        if self._outage:
            self._outage = False
            log.info("registry_back", machines=len(self._held))
        for machine_id, how in standing.items():
            session = self._held.get(machine_id)
            if session and session.number == numbers[machine_id]:
                self._settle(session, how)
        await self._unregister_ended(numbers)
        await self._register_missed()

    async def keep_renewing(self) -> None:
        """Renew until cancelled."""
        while True:
            await self.renew()
            await asyncio.sleep(RENEW_EVERY_S)

    async def close(self, reason: str) -> None:
        """End all tunnels and take them out of the registry."""
        for session in list(self._held.values()):
            session.close(reason)
            self.depart(session)
        if self._started:
            await asyncio.wait(self._started, timeout=FAREWELL_LIMIT_S)
        await self._tell(lambda: self._registry.leave(self.gateway_id))
        self._closed = True  # the last handlers may still have something to say, and Redis is let go of now

    async def _unregister_ended(self, renewed: Mapping[str, int]) -> None:
        # The renewal may have put back what was taken out while it ran.
        ended = [m for m, n in renewed.items() if m not in self._held or self._held[m].number != n]
        await asyncio.gather(*(self._unregister(machine_id, renewed[machine_id]) for machine_id in ended))

    async def _register_missed(self) -> None:
        missed = [s for s in self._held.values() if s.number is None and s.settled.is_set()]
        await asyncio.gather(*(self._register(session, age_ms=session.age_ms) for session in missed))
        for session in missed:
            if session.answered_s is not None and session.number is not None:
                await self._tell_hello(session, session.number)

    def _settle(self, session: Session, standing: Standing) -> None:
        if standing is Standing.LOST:
            session.close(_SUPERSEDED)
        elif standing is Standing.CONTESTED and session not in self._contested:
            self._contested.add(session)
            self._start(self._contest(session))

    async def _contest(self, session: Session) -> None:
        """Another tunnel of the machine has come in: ours gives way unless its agent answers."""
        try:
            if await greet(session.agent):
                await self.answered(session)
            else:
                session.close(_SUPERSEDED)
        finally:
            self._contested.discard(session)

    async def _claim(self, session: Session, number: int) -> None:
        """The agent has just answered: have its tunnel stand, unless the registry knows one that goes before."""
        machine_id, mine = session.machine_id, session.as_held(number)
        standing = await self._tell(lambda: self._registry.claim(machine_id, self.gateway_id, self._address, mine))
        if standing is Standing.LOST:
            session.close(_SUPERSEDED)
        elif self._held.get(machine_id) is not session:
            await self._unregister(machine_id, number)  # it ended meanwhile
        elif standing is Standing.KEPT:
            await self._tell_hello(session, number)

    async def _register_after(self, session: Session, older: Session | None) -> None:
        if older is not None:
            await older.settled.wait()  # else the older one could get the higher number
        await self._register(session)

    async def _register(self, session: Session, *, age_ms: int = 0) -> None:
        """Have the registry know a tunnel. age_ms: its age, where it is told late."""
        machine_id, place, peer = session.machine_id, (self.gateway_id, self._address), session.address

        async def register() -> tuple[int, bool] | None:
            if self._held.get(machine_id) is not session:
                return None
            return await self._registry.register(machine_id, *place, peer, age_ms=age_ms, over=session.over)

        stands = True
        try:
            session.number, stands = await self._tell(register) or (None, True)
        finally:
            session.settled.set()
        if self._held.get(machine_id) is not session:
            self.depart(session)  # it ended while it was being registered
        elif not stands and age_ms:
            self._settle(session, Standing.CONTESTED)
        elif not stands:
            session.close(_SECOND)  # its agent dials again, and the first one is asked then

    def _start(self, work: Coroutine[Any, Any, _T]) -> asyncio.Task[_T]:
        task = asyncio.create_task(work)
        self._started.add(task)
        task.add_done_callback(self._started.discard)
        return task

    async def _tell_hello(self, session: Session, number: int) -> bool | None:
        return await self._tell(lambda: self._registry.hello(session.machine_id, number))

    async def _unregister(self, machine_id: str, number: int) -> None:
        await self._tell(lambda: self._registry.unregister(machine_id, number))

    async def _tell(self, call: Callable[[], Awaitable[_T]]) -> _T | None:
        """Make a call to the registry; None after the end, and in an outage, which only a renewal can end."""
        async with self._places:
            if self._outage or self._closed:
                return None
            try:
                return await call()
            except redis.RedisError as error:
                self._note_outage(error)
                return None

    def _note_outage(self, error: redis.RedisError) -> None:
        if not self._outage:
            self._outage = True
            log.warning("registry_unreachable", reason=str(error), effect="tunnels and wipes go on")
