"""The gateway between workers and agents: the real protocol over real sockets, on a real Redis."""

import asyncio
import time

import grpc
import pytest

from app.agents.client import GatewayClient
from app.agents.errors import AgentFailed, AgentGone, AgentTimeout, GatewayUnreachable, StaleFence, WipeRefused
from app.agents.frames import Revision
from lab.agent import LabAgent, TunnelEnded
from tests.integration.agents_site import IPMI, Machine, a_site, eventually, redis_server
from tests.integration.children import wait_until

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def server():
    with redis_server() as running:
        yield running


def run(server, story):
    async def whole():
        async with a_site(server) as site:
            await story(site)

    asyncio.run(whole())


@pytest.mark.parametrize("revisions", [(Revision.ZERO, Revision.ONE), (Revision.ZERO,), None])
def test_agent_of_each_revision_answers_every_call(server, revisions):
    async def story(site):
        machine = Machine()
        machine.power = IPMI
        await site.connect(machine, revisions=revisions)
        await asyncio.to_thread(site.client.hello, machine.id)
        power = await asyncio.to_thread(site.client.get_power_management, machine.id)
        assert (power.ipmi_address, power.ipmi_port, power.ipmi, power.api) == ("192.0.2.7", 623, True, False)
        await asyncio.to_thread(site.client.set_power_management_ipmi, machine.id, "user", "secret", 1)
        assert (machine.login.username, machine.login.password) == ("user", "secret")
        await asyncio.to_thread(site.client.set_power_management_api, machine.id, 1)
        assert machine.login is None
        assert (await site.wipe(machine)).wipe_id == "w1"
        assert machine.wipes_done == 1

    run(server, story)


def test_api_kind_is_told_apart_from_no_kind(server):
    async def story(site):
        machine = Machine()
        await site.connect(machine)
        power = await asyncio.to_thread(site.client.get_power_management, machine.id)
        assert (power.ipmi, power.api) == (False, True)

    run(server, story)


@pytest.mark.parametrize("revisions", [(Revision.ONE,), (Revision.ZERO,)])
def test_large_messages_pass_the_windows_both_ways(server, revisions):
    async def story(site):
        machine = Machine()
        machine.power = IPMI.__class__("9" * 200_000, 1)
        await site.connect(machine, revisions=revisions)
        power = await asyncio.to_thread(site.client.get_power_management, machine.id)
        assert len(power.ipmi_address) == 200_000
        await asyncio.to_thread(site.client.set_power_management_ipmi, machine.id, "u", "p" * 300_000, 1)
        assert machine.login.password == "p" * 300_000

    run(server, story)


def test_call_past_its_limit_is_cancelled_at_the_agent(server):
    async def story(site):
        machine = Machine(wipe_s=30)
        await site.connect(machine)
        began = time.monotonic()
        with pytest.raises(AgentTimeout):
            await site.wipe(machine, timeout_s=0.3)
        assert time.monotonic() - began < 2
        await eventually(lambda: machine.wipes_cancelled == 1)
        await asyncio.to_thread(site.client.hello, machine.id)

    run(server, story)


def test_second_request_joins_the_wipe_and_gets_its_values(server):
    async def story(site):
        machine = Machine(wipe_s=0.5)
        await site.connect(machine)
        first = asyncio.ensure_future(site.wipe(machine, "w1"))
        await eventually(lambda: machine.wipes_begun == 1)
        second = await site.wipe(machine, "w2")
        assert ((await first).wipe_id, second.wipe_id) == ("w1", "w1")
        assert machine.wipes_begun == 1

    run(server, story)


def test_wipe_outlives_the_worker_that_asked_and_its_success_is_kept(server):
    async def story(site):
        machine = Machine(wipe_s=0.6)
        await site.connect(machine)
        dying = GatewayClient(site.sync_redis, "token-of-a-test")
        first = asyncio.ensure_future(site.wipe(machine, "w1", version="3", client=dying))
        await eventually(lambda: machine.wipes_begun == 1)
        dying.close()
        with pytest.raises((GatewayUnreachable, ValueError)):
            await first
        assert await asyncio.to_thread(site.client.wipe_running, machine.id)
        await eventually(lambda: machine.wipes_done == 1)
        assert machine.wipes_cancelled == 0
        # The gateway hears of it a moment later.
        assert await asyncio.to_thread(wait_until, lambda: not site.client.wipe_running(machine.id), 10)
        await site.wipe(machine, "w1", version="3")
        assert machine.wipes_begun == 1
        await site.wipe(machine, "w1", version="4")
        assert machine.wipes_begun == 2

    run(server, story)


def test_agent_that_dies_amid_a_wipe_fails_it_at_once(server):
    async def story(site):
        machine = Machine(wipe_s=30)
        agent = await site.connect(machine)
        wipe = asyncio.ensure_future(site.wipe(machine))
        await eventually(lambda: machine.wipes_begun == 1)
        agent.cancel()
        began = time.monotonic()
        with pytest.raises(AgentGone):
            await wipe
        assert time.monotonic() - began < 2
        await eventually(lambda: site.lookup.find(machine.id) is None)
        with pytest.raises(AgentGone):
            await asyncio.to_thread(site.client.hello, machine.id)
        assert not await asyncio.to_thread(site.client.wipe_running, machine.id)

    run(server, story)


def test_newest_tunnel_of_a_machine_wins(server):
    async def story(site):
        old, new = Machine(wipe_s=30), Machine()
        new.id = old.id
        first = await site.connect(old)
        number = site.lookup.find(old.id)[2]
        wipe = asyncio.ensure_future(site.wipe(old))
        await eventually(lambda: old.wipes_begun == 1)
        site.dial(new)
        assert "newer tunnel" in await first
        with pytest.raises(AgentGone):
            await wipe
        await eventually(lambda: new.hellos == 1)
        await asyncio.to_thread(site.client.hello, old.id)
        assert new.hellos == 2
        assert site.lookup.find(old.id)[2] > number

    run(server, story)


def test_newer_tunnel_at_another_gateway_closes_ours(server):
    async def story(site):
        async with a_site(server) as other:
            machine, again = Machine(), Machine()
            again.id = machine.id
            first = await site.connect(machine)
            await other.connect(again)
            assert "another gateway" in await asyncio.wait_for(first, 10)
            assert other.lookup.find(machine.id)[0] == other.gateway.id
            await asyncio.to_thread(site.client.hello, machine.id)

    run(server, story)


@pytest.mark.parametrize("machine_id", ["", "not-a-uuid", "x" * 2000])
def test_agent_without_a_uuid_is_turned_away(server, machine_id):
    async def story(site):
        agent = LabAgent(f"unix:{site.socket}", machine_id, Machine())
        with pytest.raises(TunnelEnded, match="INVALID_ARGUMENT"):
            await agent.serve()

    run(server, story)


def test_machine_id_is_known_in_lower_case(server):
    async def story(site):
        machine = Machine()
        machine.id = machine.id.upper()
        site.dial(machine)
        await eventually(lambda: site.lookup.find(machine.id.lower()) is not None)

    run(server, story)


@pytest.mark.parametrize(
    ("refusal", "error"),
    [
        ((grpc.StatusCode.FAILED_PRECONDITION, 'blockdevice "sda" is in use by disk "md127"'), WipeRefused),
        (
            (grpc.StatusCode.UNKNOWN, 'rpc error: code = FailedPrecondition desc = blockdevice "sda" is in use'),
            WipeRefused,
        ),
        ((grpc.StatusCode.UNKNOWN, "input/output error"), AgentFailed),
        ((grpc.StatusCode.UNKNOWN, "rpc error: context deadline exceeded"), AgentTimeout),
        ((grpc.StatusCode.CANCELLED, "merged call was cancelled"), AgentGone),
    ],
)
def test_wipe_failure_is_told_by_what_can_be_done(server, refusal, error):
    async def story(site):
        machine = Machine()
        machine.refusal = refusal
        await site.connect(machine)
        with pytest.raises(error, match=refusal[1].split('"')[0]):
            await site.wipe(machine)
        machine.refusal = None
        await site.wipe(machine)
        assert machine.wipes_done == 1

    run(server, story)


def test_words_of_an_agent_are_cut_and_cleaned(server):
    async def story(site):
        machine = Machine()
        machine.refusal = (grpc.StatusCode.UNKNOWN, "\x1b[2Jbad\n\r" + "x" * 5000)
        await site.connect(machine)
        with pytest.raises(AgentFailed) as caught:
            await site.wipe(machine)
        assert str(caught.value).isprintable()
        assert len(str(caught.value)) < 330

    run(server, story)


def test_stale_fence_is_refused(server):
    async def story(site):
        machine = Machine()
        await site.connect(machine)
        await site.wipe(machine, fence=10)
        with pytest.raises(StaleFence):
            await site.wipe(machine, fence=9)
        with pytest.raises(StaleFence):
            await asyncio.to_thread(site.client.set_power_management_api, machine.id, 9)
        await site.wipe(machine, "w2", fence=10)
        assert machine.wipes_begun == 2

    run(server, story)


def test_wrong_token_is_refused(server):
    async def story(site):
        machine = Machine()
        await site.connect(machine)
        stranger = GatewayClient(site.sync_redis, "another token")
        with pytest.raises(GatewayUnreachable, match="token"):
            await asyncio.to_thread(stranger.hello, machine.id)
        stranger.close()
        assert machine.hellos == 1

    run(server, story)


def test_gateway_that_is_gone_but_registered_is_unreachable(server):
    async def story(site):
        machine = Machine()
        await site.connect(machine)
        site.sync_redis.hset(f"om:agent:{machine.id}", "address", "127.0.0.1:1")
        with pytest.raises(GatewayUnreachable):
            await asyncio.to_thread(site.client.wipe_running, machine.id)

    run(server, story)


def test_hundreds_of_machines_wipe_at_once(server):
    async def story(site):
        machines = [Machine(wipe_s=1.0) for _ in range(200)]
        await asyncio.gather(*(site.connect(machine) for machine in machines))
        asyncio.get_running_loop().set_default_executor(
            __import__("concurrent.futures").futures.ThreadPoolExecutor(200)
        )
        began = time.monotonic()
        await asyncio.gather(*(site.wipe(machine) for machine in machines))
        assert time.monotonic() - began < 8
        assert all(machine.wipes_done == 1 for machine in machines)

    run(server, story)
