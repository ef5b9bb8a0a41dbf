"""Whatever is paused, away or emptied, and in whichever order: a stranger never cuts the tunnel of an agent that
answers, and a machine that came back with another address gets in.

Two gateways and their registry as they are; Redis and the agents are in memory.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from enum import Enum, auto
from typing import Any

import fakeredis
import pytest
import redis
import structlog
from hypothesis import given, settings
from hypothesis import strategies as st

from app.agents import second_tunnel, session
from app.agents.errors import AgentGone
from app.agents.presence import Presence
from app.agents.second_tunnel import Admission, AskElsewhere, TunnelRefused
from app.agents.session import Session, answers
from app.state.agents import AgentRegistry, agent_key
from tests.unit.agents.fake_registry import FakeTunnel

ID = "m1"
REAL, STRANGERS = "192.0.2.7", ("192.0.2.66", "192.0.2.67")
GATEWAYS = ("g1", "g2")
# Renewals after which all must be as it was: one to put back, one to contest, one to close, and one more.
ROUNDS = 4


class Agent:
    """Answers greetings at once while it is alive; else its tunnel is found dead."""

    def __init__(self) -> None:
        self.tunnel = FakeTunnel()
        self.alive = True

    async def hello(self, timeout_s: float) -> None:
        """A greeting."""
        if not self.alive or self.tunnel.closed:
            await asyncio.sleep(timeout_s)
            raise AgentGone("nobody is there")


class Outage:
    """A registry that can be cut off from its gateway."""

    def __init__(self, registry: AgentRegistry) -> None:
        self._registry = registry
        self.away = False

    def __getattr__(self, name: str) -> Callable[..., Awaitable[object]]:
        async def call(*args: Any, **named: Any) -> object:
            if self.away:
                raise redis.ConnectionError("away")
            return await getattr(self._registry, name)(*args, **named)

        return call


class Gateway:
    """One gateway. paused: it neither answers others nor renews."""

    def __init__(self, name: str, server: fakeredis.FakeServer, ask: AskElsewhere) -> None:
        self.client = fakeredis.FakeAsyncRedis(server=server)
        self.registry = Outage(AgentRegistry(self.client))
        self.presence = Presence(self.registry, name, name)
        self.admission = Admission(self.presence, ask)
        self.paused = False

    async def dial(self, address: str) -> Session | None:
        """An agent dials in, and answers its first greeting; None where it is refused."""
        new = Session(ID, address, Agent())
        try:
            await self.admission.admit(new)
        except TunnelRefused:
            return None
        await self.presence.arrive(new)
        await self.presence.answered(new)
        return new


class Site:
    """Both gateways and their Redis."""

    def __init__(self) -> None:
        server = fakeredis.FakeServer()
        self.redis = fakeredis.FakeRedis(server=server)
        self.gateways = {name: Gateway(name, server, self._ask) for name in GATEWAYS}

    async def _ask(self, name: str, machine_id: str, limit_s: float) -> bool:
        gateway = self.gateways[name]
        held = gateway.presence.held(machine_id)
        return not gateway.paused and held is not None and await answers(held.agent, limit_s)

    async def renew(self, name: str) -> None:
        """One renewal of a gateway, and what comes of it."""
        gateway = self.gateways[name]
        if gateway.paused:
            return
        await gateway.presence.renew()
        while gateway.presence._started:
            await asyncio.wait(gateway.presence._started)
        held = gateway.presence.held(ID)
        if held is not None and not held.agent.tunnel.open:
            gateway.presence.depart(held)

    async def heal(self) -> None:
        """Nothing is away or paused any more, and time passes."""
        for gateway in self.gateways.values():
            gateway.paused = gateway.registry.away = False
        for _ in range(ROUNDS):
            for name in GATEWAYS:
                await self.renew(name)

    async def close(self) -> None:
        """Let go of everything."""
        for gateway in self.gateways.values():
            await gateway.presence.close("the end")
            await gateway.client.aclose()

    def stands(self) -> bytes | None:
        """The address of the tunnel that is registered."""
        found = self.redis.hget(agent_key(ID), "tunnel")
        assert found is None or isinstance(found, bytes)
        return found


class Event(Enum):
    """What may happen."""

    EMPTIED = auto()
    EXPIRED = auto()
    AWAY = auto()
    BACK = auto()
    PAUSED = auto()
    GOES_ON = auto()
    RENEWS = auto()
    DIALS = auto()
    DIALS_TWICE_AT_ONCE = auto()


async def happen(site: Site, event: Event, name: str, stranger: str) -> None:
    """Let an event happen, to a gateway and by a stranger."""
    gateway = site.gateways[name]
    match event:
        case Event.EMPTIED:
            site.redis.flushall()
        case Event.EXPIRED:
            site.redis.delete(agent_key(ID))
        case Event.AWAY | Event.BACK:
            gateway.registry.away = event is Event.AWAY
        case Event.PAUSED | Event.GOES_ON:
            gateway.paused = event is Event.PAUSED
        case Event.RENEWS:
            await site.renew(name)
        case Event.DIALS if not gateway.paused:
            await gateway.dial(stranger)
        case Event.DIALS_TWICE_AT_ONCE:
            await asyncio.gather(*(each.dial(stranger) for each in site.gateways.values() if not each.paused))


happenings = st.lists(
    st.tuples(st.sampled_from(Event), st.sampled_from(GATEWAYS), st.sampled_from(STRANGERS)), max_size=25
)


@pytest.fixture(autouse=True, scope="module")
def _fast() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(second_tunnel, "ASK_LIMIT_S", 0.01)
        patch.setattr(session, "GREETING_LIMIT_S", 0.01)
        patch.setattr(session, "_CALL_LIMIT_S", 0.02)
        with structlog.testing.capture_logs():
            yield


@settings(max_examples=100, deadline=None)
@given(happenings)
def test_no_stranger_cuts_the_tunnel_of_an_agent_that_answers(events: list[tuple[Event, str, str]]) -> None:
    async def story() -> None:
        site = Site()
        real = await site.gateways["g1"].dial(REAL)
        assert real is not None
        await asyncio.sleep(0.002)  # what dials later is later by the clock of Redis too
        for event in events:
            await happen(site, *event)
            assert real.agent.tunnel.open
        await site.heal()
        assert real.agent.tunnel.open
        assert site.stands() == REAL.encode()
        assert site.gateways["g2"].presence.held(ID) is None
        assert await site.gateways["g2"].dial(STRANGERS[0]) is None
        await site.close()

    asyncio.run(story())


@settings(max_examples=100, deadline=None)
@given(happenings.map(lambda events: [e for e in events if "DIALS" not in e[0].name]), st.sampled_from(GATEWAYS))
def test_machine_that_comes_back_with_another_address_gets_in_and_stays(
    events: list[tuple[Event, str, str]], name: str
) -> None:
    async def story() -> None:
        site = Site()
        gone = await site.gateways["g1"].dial(REAL)
        assert gone is not None
        gone.agent.alive = False
        await asyncio.sleep(0.002)
        for event in events:
            await happen(site, *event)
        site.gateways[name].paused = False
        back = await site.gateways[name].dial(STRANGERS[0])
        assert back is not None
        await site.heal()
        if not back.agent.tunnel.open:  # it dials again
            back = await site.gateways[name].dial(STRANGERS[0])
            assert back is not None
            await site.heal()
        assert back.agent.tunnel.open
        assert site.stands() == STRANGERS[0].encode()
        assert not gone.agent.tunnel.open
        await site.close()

    asyncio.run(story())
