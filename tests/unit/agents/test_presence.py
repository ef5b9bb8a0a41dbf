import asyncio
import time

import pytest

from app.agents.agent import Agent
from app.agents.errors import AgentGone
from app.agents.presence import Presence, RegistrySilent
from app.agents.session import Session
from tests.unit.agents.fake_registry import FakeRegistry, FakeTunnel

ID = "m1"


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


def test_machine_is_held_before_the_registry_has_been_told():
    async def story(presence, registry):
        registry.slow = asyncio.Event()
        one = session()
        arriving = presence.arrive(one)
        assert presence.held(ID) is one
        registry.slow.set()
        await arriving
        assert registry.entries == {ID: 1}

    run(story)


def test_renewal_tells_the_address_of_each_agent():
    async def story(presence, registry):
        await presence.arrive(session())
        await presence.renew()
        assert registry.peers == {ID: "192.0.2.7"}

    run(story)


def test_redis_that_is_away_does_not_say_who_holds_a_machine():
    async def story(presence, registry):
        registry.down = True
        assert await presence.registered(ID) is None
        assert await presence.registered(ID) is None  # and asking has broken nothing

    run(story)


def test_redis_that_is_there_and_silent_is_not_taken_for_one_that_knows_nobody(monkeypatch):
    async def story(presence, registry):
        monkeypatch.setattr("app.agents.presence.HOLDER_LIMIT_S", 0.05)
        registry.holder = lambda _: asyncio.sleep(60)
        with pytest.raises(RegistrySilent):
            await presence.registered(ID)
        registry.down = True
        await presence.renew()  # finds that it is away after all
        assert await presence.registered(ID) is None

    run(story)


def test_pause_of_the_gateway_is_not_taken_for_silence_of_redis(monkeypatch):
    async def story(presence, registry):
        monkeypatch.setattr("app.agents.presence.HOLDER_LIMIT_S", 0.2)

        async def holder(machine_id):
            await asyncio.sleep(0.01)
            return "somebody"

        registry.holder = holder
        asking = asyncio.ensure_future(presence.registered(ID))
        await soon()
        time.sleep(0.3)  # noqa: ASYNC251 - the whole process stands still
        assert await asking == "somebody"

    run(story)


def test_new_tunnel_closes_where_one_from_another_address_stands_at_another_gateway():
    async def story(presence, registry):
        registry.stands_elsewhere.add(ID)
        one = session()
        await presence.arrive(one)
        assert "another address" in one.agent.tunnel.closed
        assert registry.claims == []

    run(story)


def test_registry_is_told_which_silent_tunnel_gives_way():
    async def story(presence, registry):
        one = session()
        one.over = 7
        await presence.arrive(one)
        assert registry.overs == [7]

    run(story)


class FakeAgent:
    """Answers a greeting, or fails it and has no tunnel any more."""

    def __init__(self, *, alive):
        self.tunnel, self.alive, self.greeted = FakeTunnel(), alive, 0

    async def hello(self, timeout_s):
        self.greeted += 1
        if not self.alive:
            self.tunnel.close("gone")
            raise AgentGone("gone")


@pytest.mark.parametrize("alive", [True, False])
@pytest.mark.parametrize("late", [True, False])
def test_contested_tunnel_takes_the_machine_back_only_where_its_agent_answers(alive, late):
    async def story(presence, registry):
        one = Session(ID, "192.0.2.7", FakeAgent(alive=alive))
        if late:
            registry.down = True
            await presence.renew()
        await presence.arrive(one)
        registry.down = False
        registry.stands_elsewhere.add(ID)
        await presence.renew()
        await presence.renew()
        await soon()
        assert registry.claims == ([(ID, one.number)] if alive else [])
        assert one.agent.tunnel.open is alive
        assert one.agent.greeted == 1
        await presence.renew()
        assert one.agent.tunnel.open is alive

    run(story)


def test_tunnel_that_ends_while_it_is_taken_back_is_taken_out_again():
    async def story(presence, registry):
        one = session()
        await presence.arrive(one)
        registry.stands_elsewhere.add(ID)
        claim, number = registry.claim, one.number

        async def slow(*args):
            presence.depart(one)
            await soon()
            registry.entries[ID] = number
            return await claim(*args)

        registry.claim = slow
        await presence.answered(one)
        assert registry.entries == {}

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
        monkeypatch.setattr("app.agents.session.monotonic", lambda: answered_s + 7)
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


def test_question_to_the_registry_is_not_cut_short_when_its_asker_goes():
    async def story(presence, registry):
        registry.slow, cut = asyncio.Event(), []

        async def holder(machine_id):
            try:
                await registry.slow.wait()
            except asyncio.CancelledError:
                cut.append(machine_id)
                raise

        registry.holder = holder
        asking = asyncio.ensure_future(presence.registered(ID))
        await soon()
        asking.cancel()
        await soon()
        registry.slow.set()
        await presence.close("stopping")
        assert cut == []

    run(story)


def test_nothing_is_told_after_the_end_of_the_gateway():
    async def story(presence, registry):
        await presence.close("stopping")
        await presence.refused(session())
        await presence.arrive(session())
        assert (registry.refusals, registry.entries) == ([], {})

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
            arrivals.append(asyncio.ensure_future(presence.arrive(each)))
            await asyncio.sleep(0.01)
        for each, arrival in list(zip(sessions, arrivals, strict=True))[:2]:
            arrival.cancel()
            presence.depart(each)
        registry.slow.set()
        await asyncio.wait_for(arrivals[2], 5)
        assert sessions[2].number == registry.numbers[ID]

    asyncio.run(scenario())
