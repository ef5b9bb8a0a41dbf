import asyncio
import time

import pytest
import redis

from app.agents.agent import Agent
from app.agents.errors import AgentGone
from app.agents.presence import Presence
from app.agents.session import Session

ID = "m1"


class FakeTunnel:
    def __init__(self):
        self.closed = ""

    @property
    def open(self):
        return not self.closed

    def close(self, reason):
        self.closed = self.closed or reason


class FakeRegistry:
    """The registry in memory: the last number of each machine, and who holds it."""

    def __init__(self):
        self.down = False
        self.numbers = {}
        self.entries = {}
        self.hellos = []
        self.left = False
        self.slow = None
        self.slow_renewal = None
        self.ages_ms = {}

    def _check(self):
        if self.down:
            raise redis.ConnectionError("down")

    async def register(self, machine_id, gateway_id, address, tunnel_address):
        self._check()
        if self.slow:
            await self.slow.wait()
        self.numbers[machine_id] = self.numbers.get(machine_id, 0) + 1
        self.entries[machine_id] = self.numbers[machine_id]
        return self.numbers[machine_id]

    async def hello(self, machine_id, number):
        self._check()
        self.hellos.append((machine_id, number))
        return self.numbers.get(machine_id, 0) <= number

    async def renew(self, gateway_id, address, held, hello_age_ms):
        self._check()
        self.ages_ms = dict(hello_age_ms)
        if self.slow_renewal:
            await self.slow_renewal.wait()
        superseded = {m for m, n in held.items() if self.numbers.get(m, 0) > n}
        for machine_id in set(held) - superseded:
            self.entries[machine_id] = self.numbers[machine_id] = held[machine_id]
        return superseded

    async def unregister(self, machine_id, number):
        self._check()
        if self.entries.get(machine_id) == number:
            del self.entries[machine_id]

    async def leave(self, gateway_id):
        self._check()
        self.left = True


def session():
    return Session(ID, "192.0.2.7", Agent(FakeTunnel()))


def run(story):
    async def whole():
        registry = FakeRegistry()
        await asyncio.wait_for(story(Presence(registry, "g1", "127.0.0.1:1"), registry), 5)

    asyncio.run(whole())


async def soon():
    for _ in range(10):
        await asyncio.sleep(0)


def test_machine_is_held_from_arrival_to_departure():
    async def story(presence, registry):
        with pytest.raises(AgentGone):
            presence.agent(ID)
        one = session()
        await presence.arrive(one)
        assert presence.agent(ID) is one.agent
        assert registry.entries == {ID: 1}
        presence.depart(one)
        await soon()
        assert registry.entries == {}
        with pytest.raises(AgentGone):
            presence.agent(ID)

    run(story)


def test_newer_tunnel_closes_the_older_and_its_end_is_no_news():
    async def story(presence, registry):
        old, new = session(), session()
        await presence.arrive(old)
        await presence.arrive(new)
        assert "newer" in old.agent.tunnel.closed
        presence.depart(old)
        await soon()
        assert presence.agent(ID) is new.agent
        assert registry.entries == {ID: 2}

    run(story)


def test_older_tunnel_still_registering_gets_the_lower_number():
    async def story(presence, registry):
        registry.slow = asyncio.Event()
        old, new = session(), session()
        first = asyncio.ensure_future(presence.arrive(old))
        await soon()
        second = asyncio.ensure_future(presence.arrive(new))
        await soon()
        registry.slow.set()
        await asyncio.gather(first, second)
        await soon()
        assert new.number == registry.entries[ID] == 2
        assert old.agent.tunnel.closed

    run(story)


def test_tunnel_that_ends_while_it_registers_is_taken_out_again():
    async def story(presence, registry):
        registry.slow = asyncio.Event()
        one = session()
        arriving = asyncio.ensure_future(presence.arrive(one))
        await soon()
        arriving.cancel()
        presence.depart(one)
        registry.slow.set()
        await soon()
        assert registry.numbers == {ID: 1}
        assert registry.entries == {}

    run(story)


@pytest.mark.parametrize("tell", [Presence.answered, lambda presence, _: presence.renew()])
def test_higher_number_elsewhere_closes_ours_at_the_greeting_and_at_the_renewal(tell):
    async def story(presence, registry):
        one = session()
        await presence.arrive(one)
        registry.numbers[ID] += 1
        await tell(presence, one)
        assert "another gateway" in one.agent.tunnel.closed

    run(story)


def test_renewal_tells_how_long_ago_the_agent_answered_whatever_the_clock_of_the_host_says(monkeypatch):
    async def story(presence, registry):
        one = session()
        await presence.arrive(one)
        await presence.renew()
        assert registry.ages_ms == {ID: -1}
        monkeypatch.setattr(time, "time", lambda: 0.0)
        await presence.answered(one)
        answered_s = time.monotonic()
        monkeypatch.setattr(time, "time", lambda: 4e9)
        monkeypatch.setattr("app.agents.presence.monotonic", lambda: answered_s + 7)
        await presence.renew()
        assert 7_000 <= registry.ages_ms[ID] < 8_000

    run(story)


@pytest.mark.parametrize("again", [False, True])
def test_tunnel_that_ends_during_a_renewal_is_taken_out_again(again):
    async def story(presence, registry):
        one, two = session(), session()
        await presence.arrive(one)
        registry.slow_renewal = asyncio.Event()
        renewal = asyncio.ensure_future(presence.renew())
        await soon()
        presence.depart(one)
        await soon()
        if again:
            await presence.arrive(two)
        registry.slow_renewal.set()
        await renewal
        await soon()
        assert registry.entries == ({ID: two.number} if again else {})
        assert two.agent.tunnel.open

    run(story)


def test_outage_closes_nothing_and_is_caught_up_with():
    async def story(presence, registry):
        before = session()
        await presence.arrive(before)
        registry.down = True
        await presence.renew()
        await presence.answered(before)
        during = session()
        during.machine_id = "m2"
        await presence.arrive(during)
        await presence.answered(during)
        assert before.agent.tunnel.open
        assert presence.agent("m2") is during.agent
        registry.down = False
        registry.entries.clear()
        registry.numbers.clear()
        await presence.renew()
        assert set(registry.entries) == {ID, "m2"}
        assert ("m2", during.number) in registry.hellos

    run(story)


def test_end_of_the_gateway_closes_and_takes_out_everything():
    async def story(presence, registry):
        one = session()
        await presence.arrive(one)
        await presence.close("stopping")
        assert one.agent.tunnel.closed == "stopping"
        assert registry.entries == {}
        assert registry.left

    run(story)


def test_end_of_the_gateway_during_an_outage_is_quick():
    async def story(presence, registry):
        one = session()
        await presence.arrive(one)
        registry.down = True
        await presence.close("stopping")
        assert one.agent.tunnel.closed

    run(story)


def test_tunnel_that_ends_while_it_waits_for_an_older_one_does_not_hold_up_a_newer_one():
    async def scenario():
        registry = FakeRegistry()
        registry.slow = asyncio.Event()
        presence = Presence(registry, "g", "a")
        sessions = [session() for _ in range(3)]
        arrivals = []
        for each in sessions:  # the first is being registered, each other waits for the one before
            arrivals.append(asyncio.create_task(presence.arrive(each)))
            await asyncio.sleep(0.01)
        for each, arrival in list(zip(sessions, arrivals, strict=True))[:2]:
            arrival.cancel()
            presence.depart(each)
        registry.slow.set()
        await asyncio.wait_for(arrivals[2], 5)
        assert sessions[2].number == registry.numbers[ID]

    asyncio.run(scenario())
