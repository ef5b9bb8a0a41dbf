"""A second tunnel for a machine: let in from the same address, else only where the agent at the first is silent."""

import asyncio
import time

import pytest

from app.agents import second_tunnel
from app.agents.errors import AgentGone
from app.agents.presence import Presence
from app.agents.second_tunnel import Admission, TunnelRefused
from app.agents.session import Session
from app.state.facts import Tunnel
from tests.unit.agents.fake_registry import FakeRegistry, FakeTunnel

ID = "m1"
HERE, THERE, ELSEWHERE = "192.0.2.7", "192.0.2.8", "192.0.2.9"
LIMIT_S = 0.3


class FakeAgent:
    """Answers greetings while it is `alive`, after `takes_s`."""

    def __init__(self, alive=True, takes_s=0.0):
        self.tunnel = FakeTunnel()
        self.alive, self.takes_s = alive, takes_s
        self.greeted = 0

    async def hello(self, timeout_s):
        self.greeted += 1
        await asyncio.sleep(self.takes_s if self.alive else 60)
        if not self.tunnel.open:
            raise AgentGone("the tunnel has ended")


class Gateway:
    """A gateway whose agents are told to answer or not. others: those of other gateways, by the address of those."""

    def __init__(self):
        self.registry = FakeRegistry()
        self.presence = Presence(self.registry, "g1", "127.0.0.1:1")
        self.others = {}
        self.asked = []
        self.admission = Admission(self.presence, self._ask)

    async def _ask(self, address, machine_id, limit_s):
        self.asked.append((address, machine_id, limit_s))
        return self.others.get(address, False)

    async def dial(self, address, **agent):
        """A tunnel as it is dealt with when somebody dials. Raises TunnelRefused."""
        session = Session(ID, address, FakeAgent(**agent))
        await self.admission.admit(session)
        await self.presence.arrive(session)
        return session

    async def refuses(self, address):
        with pytest.raises(TunnelRefused, match="another address"):
            await self.dial(address)

    async def puts_off(self, address, why):
        with pytest.raises(TunnelRefused, match=f"{why}.*dial again"):
            await self.dial(address)

    def registered(self, gateway="g2", number=1, peer=HERE):
        self.registry.holders[ID] = Tunnel(gateway, f"{gateway}:1", number, 0, 0, peer)


@pytest.fixture(autouse=True)
def _fast(monkeypatch):
    monkeypatch.setattr(second_tunnel, "ASK_LIMIT_S", LIMIT_S)


def run(story):
    async def whole():
        await asyncio.wait_for(story(Gateway()), 10)

    asyncio.run(whole())


def test_first_tunnel_is_let_in():
    async def story(gateway):
        one = await gateway.dial(HERE)
        assert gateway.presence.held(ID) is one
        assert gateway.registry.refusals == []

    run(story)


@pytest.mark.parametrize("address", [HERE, ""])
def test_second_tunnel_from_the_same_address_is_let_in_unasked(address):
    async def story(gateway):
        old = await gateway.dial(address)
        new = await gateway.dial(address)
        assert gateway.presence.held(ID) is new
        assert old.agent.tunnel.closed
        assert old.agent.greeted == 0

    run(story)


def test_second_tunnel_from_another_address_is_refused_while_the_first_agent_answers(capsys):
    async def story(gateway):
        old = await gateway.dial(HERE)
        await gateway.refuses(THERE)
        assert gateway.presence.held(ID) is old
        assert old.agent.tunnel.open
        assert gateway.registry.refusals == [(ID, THERE)]
        assert gateway.registry.numbers == {ID: 1}  # the refused one was never registered

    run(story)
    said = capsys.readouterr().out
    assert "tunnel_refused" in said and HERE in said and THERE in said and ID in said


def test_second_tunnel_takes_the_place_of_one_whose_agent_is_silent_within_the_limit():
    async def story(gateway):
        old = await gateway.dial(HERE, alive=False)
        began_s = time.monotonic()
        new = await gateway.dial(THERE)
        assert LIMIT_S * 0.8 < time.monotonic() - began_s < LIMIT_S + 1
        assert gateway.presence.held(ID) is new
        assert old.agent.tunnel.closed
        assert gateway.registry.refusals == []

    run(story)


def test_second_tunnel_counts_as_nothing_while_the_first_agent_is_asked():
    async def story(gateway):
        old = await gateway.dial(HERE, alive=False)
        asking = asyncio.ensure_future(gateway.dial(THERE))
        await asyncio.sleep(LIMIT_S / 2)
        assert gateway.presence.agent(ID) is old.agent
        assert gateway.registry.numbers == {ID: 1}
        await gateway.presence.renew()
        assert gateway.registry.peers == {ID: HERE}
        assert (await asking).agent.greeted == 0

    run(story)


def test_first_tunnel_that_ends_while_it_is_asked_gives_way_at_once():
    async def story(gateway):
        old = await gateway.dial(HERE, alive=False)
        asking = asyncio.ensure_future(gateway.dial(THERE))
        await asyncio.sleep(LIMIT_S / 10)
        gateway.presence.depart(old)
        old.agent.tunnel.close("gone")
        assert gateway.presence.held(ID) is None
        new = await asking
        assert gateway.presence.held(ID) is new

    run(story)


def test_first_machine_that_dials_again_meanwhile_is_the_one_that_is_asked():
    async def story(gateway):
        await gateway.dial(HERE, alive=False)
        asking = asyncio.ensure_future(gateway.dial(THERE))
        await asyncio.sleep(LIMIT_S / 10)
        again = await gateway.dial(HERE)  # at once, though somebody is asking
        with pytest.raises(TunnelRefused):
            await asking
        assert gateway.presence.held(ID) is again
        assert again.agent.greeted == 1

    run(story)


def test_of_two_second_tunnels_at_once_one_is_let_in_and_the_other_held_against_it():
    async def story(gateway):
        await gateway.dial(HERE, alive=False)
        one, two = (asyncio.ensure_future(gateway.dial(address)) for address in (THERE, ELSEWHERE))
        winner = await one
        with pytest.raises(TunnelRefused):
            await two
        assert gateway.presence.held(ID) is winner
        assert winner.agent.greeted == 1

    run(story)


def test_of_two_first_tunnels_at_once_the_later_is_held_against_the_earlier():
    async def story(gateway):
        one, two = (asyncio.ensure_future(gateway.dial(address)) for address in (HERE, THERE))
        winner = await one
        with pytest.raises(TunnelRefused):
            await two
        assert gateway.presence.held(ID) is winner

    run(story)


def test_flood_of_second_tunnels_is_refused_and_leaves_the_first_alone_and_the_next_is_heard(monkeypatch):
    async def story(gateway):
        old = await gateway.dial(HERE, alive=False)
        flood = [asyncio.ensure_future(gateway.puts_off(f"198.51.100.{n}", "")) for n in range(100)]
        await asyncio.sleep(LIMIT_S / 10)
        assert sum(each.done() for each in flood) == 100 - second_tunnel.ASKING
        assert gateway.registry.refusals == []  # no agent has answered
        old.agent.alive = True  # at the next greeting
        for each in flood:
            each.cancel()
        await asyncio.gather(*flood, return_exceptions=True)
        assert gateway.presence.held(ID) is old
        await gateway.refuses(ELSEWHERE)
        assert old.agent.tunnel.open

    run(story)


def test_flood_that_waits_for_redis_is_bounded_and_does_not_keep_out_the_machine_itself(monkeypatch, capsys):
    monkeypatch.setattr(second_tunnel, "WAITING_IN_ALL", 3 * second_tunnel.WAITING)

    async def story(gateway):
        slow, holder = asyncio.Event(), gateway.registry.holder

        async def slowly(machine_id):
            await slow.wait()
            return await holder(machine_id)

        gateway.registry.holder = slowly
        gateway.registered(peer=HERE)
        gateway.others["g2:1"] = True
        flood = [asyncio.ensure_future(gateway.dial(THERE)) for _ in range(100)]
        await asyncio.sleep(0)
        again = asyncio.ensure_future(gateway.dial(HERE))
        await asyncio.sleep(LIMIT_S / 10)
        assert sum(each.done() for each in flood) == 100 - second_tunnel.WAITING
        others = [asyncio.ensure_future(gateway.dial(f"198.51.100.{n}")) for n in range(100)]
        await asyncio.sleep(LIMIT_S / 10)
        assert sum(each.done() for each in others) == 100 - 2 * second_tunnel.WAITING + 1
        slow.set()
        assert all(isinstance(e, TunnelRefused) for e in await asyncio.gather(*flood, *others, return_exceptions=True))
        assert gateway.presence.held(ID) is await again

    run(story)
    assert capsys.readouterr().out.count("tunnel_put_off") == 2  # one for each reason


def test_nobody_is_let_in_while_redis_is_there_and_silent(monkeypatch, capsys):
    monkeypatch.setattr("app.agents.presence.HOLDER_LIMIT_S", 0.05)

    async def story(gateway):
        gateway.registry.holder = lambda _: asyncio.sleep(60)
        for _ in range(3):
            await gateway.puts_off(THERE, "Redis")
        assert gateway.registry.refusals == []

    run(story)
    said = capsys.readouterr().out
    assert said.count("tunnel_put_off") == 1 and THERE in said and ID in said and "tunnel_refused" not in said


def test_pause_of_the_gateway_lets_nobody_in_unasked(monkeypatch):
    monkeypatch.setattr("app.agents.presence.HOLDER_LIMIT_S", 0.2)

    async def story(gateway):
        gateway.registered()
        gateway.others["g2:1"] = True
        holder = gateway.registry.holder

        async def takes_a_moment(machine_id):
            await asyncio.sleep(0.01)
            return await holder(machine_id)

        gateway.registry.holder = takes_a_moment
        asking = asyncio.ensure_future(gateway.dial(THERE))
        for _ in range(3):
            await asyncio.sleep(0)
        time.sleep(0.3)  # noqa: ASYNC251 - the whole process stands still
        with pytest.raises(TunnelRefused):
            await asking

    run(story)


def test_registry_is_told_whose_place_is_taken_and_only_that_of_a_silent_agent():
    async def story(gateway):
        gateway.registered(number=7)
        new = await gateway.dial(THERE)
        assert new.over == 7
        assert gateway.registry.overs == [7]
        gateway.registry.holders.clear()
        assert (await gateway.dial(THERE)).over == 0

    run(story)


def test_one_that_hangs_up_while_it_asks_leaves_the_way_to_others():
    async def story(gateway):
        await gateway.dial(HERE, alive=False)
        gone = asyncio.ensure_future(gateway.dial(THERE))
        waiting = asyncio.ensure_future(gateway.dial(ELSEWHERE))
        await asyncio.sleep(LIMIT_S / 10)
        gone.cancel()
        new = await waiting
        assert gateway.presence.held(ID) is new

    run(story)


def test_first_tunnels_that_change_all_the_time_do_not_let_a_second_one_wait_for_ever(monkeypatch):
    async def story(gateway):
        await gateway.dial(HERE, alive=False)
        began_s = time.monotonic()
        asking = asyncio.ensure_future(gateway.dial(THERE))
        while not asking.done():
            await asyncio.sleep(LIMIT_S / 3)
            await gateway.dial(HERE, alive=False)
        with pytest.raises(TunnelRefused, match="dial again"):
            await asking
        assert time.monotonic() - began_s < second_tunnel.ROUNDS * LIMIT_S + 1
        assert gateway.registry.refusals == []  # no agent has answered

    run(story)


@pytest.mark.parametrize(("answers", "refused"), [(True, True), (False, False)])
def test_agent_at_another_gateway_is_asked_there(answers, refused):
    async def story(gateway):
        gateway.registered()
        gateway.others["g2:1"] = answers
        if refused:
            await gateway.refuses(THERE)
            assert gateway.presence.held(ID) is None
            assert gateway.registry.refusals == [(ID, THERE)]
        else:
            new = await gateway.dial(THERE)
            assert gateway.presence.held(ID) is new
        assert gateway.asked == [("g2:1", ID, LIMIT_S)]

    run(story)


def test_agent_at_another_gateway_from_the_same_address_is_not_asked():
    async def story(gateway):
        gateway.registered()
        await gateway.dial(HERE)
        assert gateway.asked == []

    run(story)


def test_own_entry_of_a_tunnel_that_has_just_ended_is_nobody():
    async def story(gateway):
        gateway.registered(gateway="g1")
        await gateway.dial(THERE)
        assert gateway.asked == []

    run(story)


def test_agent_here_is_asked_though_a_newer_tunnel_from_the_same_address_is_registered_elsewhere():
    async def story(gateway):
        ours = await gateway.dial(HERE)
        gateway.registered(number=7, peer=THERE)  # it came in while nothing was known of ours
        await gateway.refuses(THERE)
        assert ours.agent.tunnel.open
        ours.agent.alive = False
        new = await gateway.dial(THERE)
        assert gateway.presence.held(ID) is new
        assert gateway.asked == []

    run(story)


def test_both_the_agent_here_and_the_newer_one_elsewhere_are_asked():
    async def story(gateway):
        ours = await gateway.dial(HERE, alive=False)
        gateway.registered(number=7, peer=THERE)
        gateway.others["g2:1"] = True
        await gateway.refuses(ELSEWHERE)
        assert gateway.asked == [("g2:1", ID, LIMIT_S)]
        gateway.others.clear()
        new = await gateway.dial(ELSEWHERE)
        assert new.over == 7
        assert ours.agent.tunnel.closed

    run(story)


@pytest.mark.parametrize(("number", "asked"), [(7, True), (1, False)])
def test_newest_tunnel_of_all_gateways_is_the_one_that_counts(number, asked):
    async def story(gateway):
        ours = await gateway.dial(THERE)  # number 1
        gateway.registered(number=number)
        gateway.others["g2:1"] = True
        if asked:
            await gateway.refuses(THERE)  # ours is superseded, though from the same address
        else:
            await gateway.dial(THERE)
        assert bool(gateway.asked) is asked
        assert ours.agent.tunnel.open is asked

    run(story)


def test_without_redis_only_tunnels_of_this_gateway_are_known():
    async def story(gateway):
        gateway.registered()
        gateway.others["g2:1"] = True
        gateway.registry.down = True
        old = await gateway.dial(THERE)
        assert gateway.asked == []
        await gateway.refuses(HERE)
        assert gateway.presence.held(ID) is old

    run(story)


def test_agent_that_dials_again_and_again_is_said_once_a_minute(capsys, monkeypatch):
    async def story(gateway):
        now_s = 1_000.0
        monkeypatch.setattr(second_tunnel, "monotonic", lambda: now_s)
        await gateway.dial(HERE)
        for _ in range(20):
            await gateway.refuses(THERE)
        now_s += second_tunnel.SAY_EVERY_S
        await gateway.refuses(THERE)
        await gateway.refuses(ELSEWHERE)
        assert len(gateway.registry.refusals) == 22

    run(story)
    said = [line for line in capsys.readouterr().out.splitlines() if "tunnel_refused" in line]
    assert len(said) == 3
    assert "refused=20" in said[1].replace("\x1b[0m", "").replace("\x1b[35m", "").replace("\x1b[36m", "")


def test_number_of_addresses_of_which_it_is_known_when_they_were_said_is_bounded(monkeypatch):
    monkeypatch.setattr(second_tunnel, "SAID_OF", 3)
    seldom = second_tunnel._Seldom()
    assert [seldom.unsaid((ID, str(number))) for number in range(10)] == [1] * 10
    assert len(seldom._said) == 3
