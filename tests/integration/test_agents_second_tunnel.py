"""A second tunnel for a machine, over real sockets and a real Redis, in one gateway and between two."""

import asyncio
import contextlib
import time

import pytest

from app.agents import presence, second_tunnel
from app.agents.elsewhere import Elsewhere
from app.state.agents import agent_key
from app.state.facts import refused_of
from app.state.metrics import TUNNELS_REFUSED
from tests.integration.agents_site import TOKEN, Machine, a_site, eventually, redis_server, way_from

pytestmark = pytest.mark.integration

HERE, THERE = "192.0.2.7", "192.0.2.8"


@pytest.fixture(scope="module")
def server():
    with redis_server() as running:
        yield running


@pytest.fixture(params=["one gateway", "two gateways"])
def run(request, server, monkeypatch):
    """Runs a story with two sites: the one where a machine is, and the one where the second tunnel comes."""
    monkeypatch.setattr(presence, "RENEW_EVERY_S", 0.2)

    def run_it(story):
        async def whole():
            async with contextlib.AsyncExitStack() as stack:
                site = await stack.enter_async_context(a_site(server))
                other = await stack.enter_async_context(a_site(server)) if request.param == "two gateways" else site
                await story(site, other)

        asyncio.run(whole())

    return run_it


def noted(site, machine):
    return refused_of((site.sync_redis.hget(f"om:m:{machine.id}", "f:refused-tunnel") or b"").decode())


class Thoughtful(Machine):
    """Answers each greeting after a moment."""

    async def hello(self):
        await asyncio.sleep(0.1)
        await super().hello()


def stranger(machine):
    """Somebody who says to be this machine."""
    return Machine(machine.id)


def test_refused_tunnel_is_told_why_and_cuts_no_wipe(run):
    async def story(site, other):
        machine = Machine(wipe_s=1.5)
        false = stranger(machine)
        with way_from(site, HERE) as here, way_from(other, THERE) as there:
            first = await site.connect(machine, address=here)
            entry = site.sync_redis.hgetall(agent_key(machine.id))
            wipe = asyncio.ensure_future(site.wipe(machine))
            await eventually(lambda: machine.wipes_begun == 1)
            before = int(site.sync_redis.get(TUNNELS_REFUSED) or 0)
            for _ in range(3):
                said = await asyncio.wait_for(other.dial(false, address=there), 20)
                assert said.startswith("ABORTED") and "another address" in said
            await wipe
            assert (machine.wipes_done, machine.wipes_cancelled) == (1, 0)
            assert (false.hellos, false.wipes_begun) == (0, 0)
            assert not first.done()
            after = site.sync_redis.hgetall(agent_key(machine.id))
            assert [after[name] for name in (b"number", b"tunnel")] == [entry[name] for name in (b"number", b"tunnel")]
            assert noted(site, machine).address == THERE
            assert int(site.sync_redis.get(TUNNELS_REFUSED)) == before + 3

    run(story)


def newer_stands(site, machine, number):
    """Whether a newer tunnel is registered; between the two there may be none for a moment."""
    found = site.lookup.find(machine.id)
    return found is not None and found[2] > number


def test_machine_that_comes_back_with_another_lease_is_taken_within_two_seconds(run):
    async def story(site, other):
        machine = Machine()
        again = stranger(machine)
        with way_from(site, HERE) as here, way_from(other, THERE) as there:
            first = await site.connect(machine, address=here)
            number = site.lookup.find(machine.id)[2]
            machine.hangs = True  # its connection is not closed: nobody is there any more
            began_s = time.monotonic()
            other.dial(again, address=there)
            await eventually(lambda: newer_stands(site, machine, number))
            assert second_tunnel.ASK_LIMIT_S - 0.1 < time.monotonic() - began_s < second_tunnel.ASK_LIMIT_S + 4
            assert "newer tunnel" in await asyncio.wait_for(first, 20)
            await eventually(lambda: again.hellos > 0)
            assert noted(site, machine) is None

    run(story)


def test_tunnel_from_the_same_address_wins_unasked(run):
    async def story(site, other):
        machine = Machine()
        again = stranger(machine)
        with way_from(site, HERE) as here, way_from(other, HERE) as also_here:
            first = await site.connect(machine, address=here)
            number, greeted = site.lookup.find(machine.id)[2], machine.hellos
            other.dial(again, address=also_here)
            await eventually(lambda: newer_stands(site, machine, number))
            assert "newer tunnel" in await asyncio.wait_for(first, 20)
            assert machine.hellos == greeted

    run(story)


def test_first_machine_serves_on_while_strangers_dial_all_the_time(run):
    async def story(site, other):
        machine = Machine()
        with way_from(site, HERE) as here, contextlib.ExitStack() as ways:
            first = await site.connect(machine, address=here)
            places = [ways.enter_context(way_from(other, f"192.0.2.{number}")) for number in range(20, 30)]
            strangers = [asyncio.ensure_future(keep_dialling(other, machine, place)) for place in places]
            until_s, slowest_s = time.monotonic() + 3, 0.0
            while time.monotonic() < until_s:
                began_s = time.monotonic()
                await asyncio.to_thread(site.client.hello, machine.id)
                slowest_s = max(slowest_s, time.monotonic() - began_s)
            for each in strangers:
                each.cancel()
            await asyncio.gather(*strangers, return_exceptions=True)
            assert slowest_s < 4
            assert not first.done()

    run(story)


async def keep_dialling(site, machine, address):
    while True:
        await site.dial(stranger(machine), address=address)


def test_pause_of_this_process_is_not_taken_for_silence_of_an_agent_elsewhere(server):
    async def story():
        machine = Thoughtful()
        async with a_site(server) as site:
            await site.connect(machine)
            asking = asyncio.ensure_future(Elsewhere(TOKEN).answers(site.gateway.address, machine.id, 0.5))
            await asyncio.sleep(0.05)
            time.sleep(1)  # noqa: ASYNC251 - the whole process stands still
            assert await asking

    asyncio.run(story())


def test_gateway_that_is_gone_says_nothing_for_its_agent(server):
    async def story():
        machine = Machine()
        async with a_site(server) as site:
            with way_from(site, THERE) as there:
                entry = {"gateway": "g-gone", "address": "127.0.0.1:1", "tunnel": HERE, "opened_ms": 1, "hello_ms": 0}
                site.sync_redis.hset(agent_key(machine.id), mapping={**entry, "number": 1})
                began_s = time.monotonic()
                await site.connect(machine, address=there)
                assert time.monotonic() - began_s < second_tunnel.ASK_LIMIT_S + 4
                assert site.lookup.find(machine.id)[0] == site.gateway.id

    asyncio.run(story())


def emptied(server, site):
    site.sync_redis.flushall()


def away_meanwhile(server, site):
    server.stop()


def paused(server, site):
    """The gateway of the first tunnel stands still for so long that its entries vanish."""
    site.gateway._renewing.cancel()
    site.sync_redis.flushdb()


def goes_on(site):
    if site.gateway._renewing.cancelled():
        site.gateway._renewing = asyncio.create_task(site.gateway._presence.keep_renewing())


@pytest.mark.parametrize("trouble", [emptied, away_meanwhile, paused])
def test_stranger_that_came_in_unasked_cuts_no_wipe_and_has_to_go(monkeypatch, trouble):
    monkeypatch.setattr(presence, "RENEW_EVERY_S", 0.5)

    async def story(own):
        machine = Machine(wipe_s=6)
        false = stranger(machine)
        async with a_site(own) as site, a_site(own) as other:
            with way_from(site, HERE) as here, way_from(other, THERE) as there:
                first = await site.connect(machine, address=here)
                wipe = asyncio.ensure_future(site.wipe(machine, timeout_s=60))
                await eventually(lambda: machine.wipes_begun == 1)
                trouble(own, site)
                said = other.dial(false, address=there)
                await eventually(lambda: said.agent.open and (false.hellos > 0 or said.done()))
                if trouble is away_meanwhile:
                    own.start()
                goes_on(site)
                assert "tunnel" in await asyncio.wait_for(said, 20)
                await eventually(lambda: site.greeted(machine))
                assert site.lookup.find(machine.id)[0] == site.gateway.id
                again = await asyncio.wait_for(other.dial(false, address=there), 20)
                assert again.startswith("ABORTED") and "whose agent answers" in again
                await wipe
                assert not first.done()
                assert (machine.wipes_begun, machine.wipes_done, machine.wipes_cancelled) == (1, 1, 0)
                assert false.wipes_begun == 0

    with redis_server() as own:
        asyncio.run(story(own))


def test_of_two_gateways_that_hear_of_a_machine_at_one_moment_one_holds_it(server):
    async def story():
        machine = Machine()
        async with a_site(server) as site, a_site(server) as other:
            with way_from(site, HERE) as here, way_from(other, THERE) as there:
                tasks = [site.dial(machine, address=here), other.dial(stranger(machine), address=there)]
                done, standing = await asyncio.wait(tasks, timeout=20, return_when=asyncio.FIRST_COMPLETED)
                assert len(done) == len(standing) == 1
                assert "another address" in done.pop().result()
                await eventually(lambda: site.greeted(machine))
                await asyncio.sleep(0.5)
                assert not standing.pop().done()

    asyncio.run(story())


def test_without_redis_the_tunnels_of_a_gateway_are_guarded_all_the_same(monkeypatch):
    async def story(own):
        machine = Machine()
        async with a_site(own) as site:
            with way_from(site, HERE) as here, way_from(site, THERE) as there:
                first = await site.connect(machine, address=here)
                own.stop()
                said = await asyncio.wait_for(site.dial(stranger(machine), address=there), 20)
                assert said.startswith("ABORTED")
                assert not first.done()

    with redis_server() as own:
        asyncio.run(story(own))
