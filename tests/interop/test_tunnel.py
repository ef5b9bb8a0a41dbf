"""The tunnel itself: our end of it, in this process, with the library of real agents at the other."""

import asyncio
import time

import grpc
import pytest

from app.agents import dialin, session, tunnel
from app.agents.errors import AgentFailed, AgentGone, AgentTimeout
from app.agents.frames import Revision
from app.agents.tunnel import CallFailed
from protos.gen.agent import agent_pb2
from protos.gen.tunnel.tunnel_pb2 import Metadata
from tests.integration.agents_site import a_site, eventually, redis_server
from tests.interop.go_agent import GoAgent, pattern

pytestmark = pytest.mark.interop

REVISIONS = {Revision.ZERO: False, Revision.ONE: True}
# What goes over the wire is a few bytes longer than the text in it; these stand around the limits of chunk and window.
SIZES = (0, 1, 16_370, 16_384, 16_390, 65_520, 65_536, 65_540, 131_072, 300_000)
MIB = 1024 * 1024


@pytest.fixture(scope="module")
def server():
    with redis_server() as running:
        yield running


@pytest.fixture(scope="module")
def program(start):
    with start("agent") as running:
        yield running


@pytest.fixture
def run(server, program):
    """Run a story with a gateway and an agent of one revision whose tunnel is open."""

    def run(story, *, flow_control=True):
        async def whole():
            async with a_site(server) as site:
                agent = GoAgent(program, f"unix:{site.socket}", flow_control=flow_control)
                await eventually(lambda: site.greeted(agent))
                await story(site.gateway._presence.agent(agent.id), agent)
                agent.stop()

        asyncio.run(whole())

    return run


@pytest.mark.parametrize("revision", REVISIONS)
def test_revision_is_what_the_agent_has(run, revision):
    async def story(ours, _):
        assert ours.tunnel._revision is revision

    run(story, flow_control=REVISIONS[revision])


@pytest.mark.parametrize("revision", REVISIONS)
def test_each_method_of_the_service_is_reached_and_its_fields_are_read(run, revision):
    async def story(ours, agent):
        await ours.hello(5)
        agent.behave("GetPowerManagement", ipmi={"address": "192.0.2.7", "port": 623, "user_exists": True})
        power = await ours.get_power_management(5)
        assert (power.ipmi_address, power.ipmi_port, power.ipmi, power.api) == ("192.0.2.7", 623, True, False)
        agent.behave("GetPowerManagement", api=True)
        power = await ours.get_power_management(5)
        assert (power.ipmi, power.api) == (False, True)
        agent.behave("GetPowerManagement")
        power = await ours.get_power_management(5)
        assert (power.ipmi, power.api) == (False, False)
        await ours.set_power_management_ipmi("talos-agent", "päss wörd", 5)
        await ours.set_power_management_api(5)
        await ours.wipe_disks(5, zeroes=True)
        await ours.wipe_disks(5, zeroes=False)
        await ours.tunnel.call("/management.AgentService/Reboot", b"", 5)
        first, second = agent.calls("SetPowerManagement")
        assert (first["ipmi"], first["username"], first["password"]) == (True, "talos-agent", "päss wörd")
        assert (second["ipmi"], second["api"]) == (False, True)
        assert [call["zeroes"] for call in agent.calls("WipeDisks")] == [True, False]
        assert agent.states("Reboot") == ["done"]
        assert {(call["ipmi"], call["api"]) for call in agent.calls("GetPowerManagement")} == {(False, False)}
        assert not any(call["deadline"] for call in agent.calls())

    run(story, flow_control=REVISIONS[revision])


@pytest.mark.parametrize("revision", REVISIONS)
def test_messages_of_every_size_pass_both_ways_unharmed(run, revision):
    async def story(ours, agent):
        for size in SIZES:
            agent.behave("GetPowerManagement", length=size)
            assert (await ours.get_power_management(10)).ipmi_address == pattern(size)
            await ours.set_power_management_ipmi("u", pattern(size), 10)
            assert agent.calls("SetPowerManagement")[-1]["password"] == pattern(size)

    run(story, flow_control=REVISIONS[revision])


@pytest.mark.parametrize("revision", REVISIONS)
def test_some_mebibytes_pass_both_ways(run, revision):
    async def story(ours, agent):
        agent.behave("GetPowerManagement", length=3 * MIB)
        assert (await ours.get_power_management(20)).ipmi_address == pattern(3 * MIB)
        await ours.set_power_management_ipmi("u", pattern(3 * MIB), 20)
        assert agent.calls("SetPowerManagement")[-1]["password"] == pattern(3 * MIB)

    run(story, flow_control=REVISIONS[revision])


def test_answer_that_is_too_long_fails_its_own_call_alone(run):
    async def story(ours, agent):
        agent.behave("GetPowerManagement", length=5 * MIB)
        with pytest.raises(AgentFailed, match="RESOURCE_EXHAUSTED"):
            await ours.get_power_management(20)
        await ours.hello(5)

    run(story)


@pytest.mark.parametrize("revision", REVISIONS)
def test_calls_side_by_side_do_not_mix(run, revision):
    async def story(ours, agent):
        agent.behave("WipeDisks", delay_ms=300)
        wipe = asyncio.ensure_future(ours.wipe_disks(20, zeroes=False))
        agent.behave("GetPowerManagement", length=200_000)
        passwords = [pattern(100_000 + number) for number in range(20)]
        powers = await asyncio.gather(
            *(ours.get_power_management(20) for _ in range(20)),
            *(ours.set_power_management_ipmi("u", password, 20) for password in passwords),
            *(ours.hello(20) for _ in range(20)),
        )
        assert {power.ipmi_address for power in powers[:20]} == {pattern(200_000)}
        assert sorted(call["password"] for call in agent.calls("SetPowerManagement")) == sorted(passwords)
        await wipe

    run(story, flow_control=REVISIONS[revision])


def test_call_past_its_limit_is_cancelled_at_the_agent_and_the_next_one_works(run):
    async def story(ours, agent):
        agent.behave("WipeDisks", hang=True)
        began = time.monotonic()
        with pytest.raises(AgentTimeout):
            await ours.wipe_disks(0.3, zeroes=False)
        assert 0.3 <= time.monotonic() - began < 2
        await eventually(lambda: agent.states("WipeDisks") == ["cancelled"])
        assert agent.calls("WipeDisks")[0]["error"] == "context canceled"
        await ours.hello(5)

    run(story)


def test_call_whose_caller_goes_away_is_cancelled_at_the_agent(run):
    async def story(ours, agent):
        agent.behave("WipeDisks", hang=True)
        caller = asyncio.ensure_future(ours.wipe_disks(60, zeroes=False))
        await eventually(lambda: agent.states("WipeDisks") == ["running"])
        caller.cancel()
        await eventually(lambda: agent.states("WipeDisks") == ["cancelled"])
        await ours.hello(5)

    run(story)


@pytest.mark.parametrize("revision", REVISIONS)
def test_answer_that_comes_after_the_cancel_is_ignored(run, revision):
    async def story(ours, agent):
        agent.behave("GetPowerManagement", delay_ms=500, deaf=True, length=200_000)
        with pytest.raises(AgentTimeout):
            await ours.get_power_management(0.1)
        await eventually(lambda: "running" not in agent.states("GetPowerManagement"))
        await asyncio.sleep(0.2)
        assert ours.tunnel.open
        agent.behave("GetPowerManagement", api=True)
        assert (await ours.get_power_management(5)).api

    run(story, flow_control=REVISIONS[revision])


def test_request_that_is_cancelled_half_sent_leaves_the_tunnel_in_order(run):
    async def story(ours, agent):
        for _ in range(5):
            caller = asyncio.ensure_future(ours.set_power_management_ipmi("u", pattern(3 * MIB), 60))
            await asyncio.sleep(0.01)
            caller.cancel()
        await ours.set_power_management_ipmi("u", "last", 20)
        assert agent.calls("SetPowerManagement")[-1]["password"] == "last"

    run(story)


def test_deadline_that_the_agent_is_told_comes_back_as_a_timeout(run, monkeypatch):
    # We tell none and keep our own; but an agent may set itself one, and its library says UNKNOWN then.
    limit = Metadata(md={"grpc-timeout": Metadata.Values(val=["200m"])})

    async def story(ours, agent):
        agent.behave("WipeDisks", hang=True)
        monkeypatch.setattr(tunnel, "_NO_HEADERS", limit)
        with pytest.raises(CallFailed, match="context deadline exceeded") as caught:
            await ours.tunnel.call("/management.AgentService/WipeDisks", b"", 10)
        assert caught.value.code is grpc.StatusCode.UNKNOWN
        with pytest.raises(AgentTimeout, match="context deadline exceeded"):
            await ours.wipe_disks(10, zeroes=False)
        assert [call["deadline"] for call in agent.calls("WipeDisks")] == [True, True]

    run(story)


def test_greeting_that_was_merged_with_a_call_that_ended_is_sent_again(run):
    async def story(ours, agent):
        agent.behave("Hello", delay_ms=1_000)
        first = asyncio.ensure_future(ours.hello(0.3))
        await eventually(lambda: agent.states("Hello")[-1] == "running")
        merged = asyncio.ensure_future(ours.hello(10))
        greeting = asyncio.ensure_future(session.greet(ours))
        with pytest.raises(AgentTimeout):
            await first
        with pytest.raises(AgentGone, match="context canceled"):
            await merged
        assert await greeting
        # One for the site, the cancelled one, and the one that was sent again.
        assert agent.states("Hello") == ["done", "cancelled", "done"]

    run(story)


@pytest.mark.parametrize(
    ("code", "name"), [(9, "FAILED_PRECONDITION"), (13, "INTERNAL"), (14, "UNAVAILABLE"), (0, "UNKNOWN")]
)
def test_errors_come_with_their_code_and_words(run, code, name):
    async def story(ours, agent):
        agent.behave("Hello", code=code, words="the disk is on fire")
        with pytest.raises(CallFailed, match="the disk is on fire") as caught:
            await ours.tunnel.call("/management.AgentService/Hello", b"", 5)
        assert caught.value.code is grpc.StatusCode[name]

    run(story)


@pytest.mark.parametrize("method", ["/management.AgentService/Fly", "/other.Service/Hello"])
def test_method_that_the_agent_does_not_have_is_unimplemented(run, method):
    async def story(ours, _):
        with pytest.raises(CallFailed) as caught:
            await ours.tunnel.call(method, b"", 5)
        assert caught.value.code is grpc.StatusCode.UNIMPLEMENTED
        await ours.hello(5)

    run(story)


def test_request_that_cannot_be_read_fails_its_own_call_alone(run):
    async def story(ours, _):
        with pytest.raises(CallFailed):
            await ours.tunnel.call("/management.AgentService/WipeDisks", b"\xff\xff\xff", 5)
        await ours.hello(5)

    run(story)


def test_fields_that_this_agent_does_not_know_are_ignored_by_it(run):
    async def story(ours, agent):
        request = agent_pb2.WipeDisksRequest(zeroes=True).SerializeToString() + b"\xba\x06\x03new"
        await ours.tunnel.call("/management.AgentService/WipeDisks", request, 5)
        assert agent.calls("WipeDisks")[0]["zeroes"]

    run(story)


def test_agent_that_does_not_answer_its_greeting_is_told_to_dial_again(run, monkeypatch):
    monkeypatch.setattr(session, "GREETING_LIMIT_S", 0.5)
    monkeypatch.setattr(dialin, "pause_s", lambda **_: 0.1)

    async def story(ours, agent):
        agent.behave("Hello", hang=True)
        await eventually(lambda: agent.ended() is not None)
        assert "code = Aborted desc = the agent did not answer a greeting in time" in agent.ended()

    run(story)
