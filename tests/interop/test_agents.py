"""Real agents' libraries against the processes of the provider: through the public port, as workers see it."""

import contextlib
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from app.agents.client import WipeTicket
from app.agents.errors import AgentError, AgentFailed, AgentGone, AgentTimeout, WipeRefused
from tests.integration.agents_site import redis_server
from tests.integration.children import wait_until
from tests.interop.go_agent import GoAgent, pattern
from tests.interop.provider import START_LIMIT_S, Provider

pytestmark = pytest.mark.interop


@pytest.fixture(scope="module")
def provider():
    with redis_server() as server, Provider(server) as running:
        yield running


@pytest.fixture(scope="module")
def program(start):
    with start("agent") as running:
        yield running


@pytest.fixture
def dial(provider, program):
    """Start an agent, and wait until the provider has heard of it."""
    agents = []

    def dial(*, address="", of=program, **options):
        agent = GoAgent(of, address or provider.plain, **options)
        if of is program:
            agents.append(agent)
        wait_until(lambda: provider.holds(agent), 20)
        return agent

    yield dial
    for agent in agents:
        agent.stop()


class Wipe(threading.Thread):
    """A worker that wipes; `join` waits for its end."""

    def __init__(self, provider, agent, wipe_id="w1", timeout_s=60.0):
        super().__init__(daemon=True)
        self._ask = lambda: wipe(provider, agent, wipe_id, timeout_s=timeout_s)
        self.error = self.ticket = None
        self.start()
        wait_until(lambda: "running" in agent.states("WipeDisks"))

    def run(self):
        try:
            self.ticket = self._ask()
        except AgentError as error:
            self.error = error

    def failure(self, limit_s=10.0):
        self.join(limit_s)
        assert not self.is_alive()
        return self.error


def wipe(provider, agent, wipe_id="w1", *, zeroes=False, timeout_s=10.0):
    ticket = WipeTicket(wipe_id, 1, "token", "")
    return provider.workers.wipe(agent.id, ticket, zeroes=zeroes, timeout_s=timeout_s, fence=1)


# Calls


@pytest.mark.parametrize("flow_control", [False, True])
def test_agent_of_each_revision_answers_workers(provider, dial, flow_control):
    agent = dial(flow_control=flow_control)
    provider.workers.hello(agent.id)
    agent.behave("GetPowerManagement", ipmi={"address": "192.0.2.7", "port": 623, "user_exists": False})
    power = provider.workers.get_power_management(agent.id)
    assert (power.ipmi_address, power.ipmi_port, power.ipmi, power.api) == ("192.0.2.7", 623, True, False)
    provider.workers.set_power_management_ipmi(agent.id, "talos-agent", "secret", 1)
    provider.workers.set_power_management_api(agent.id, 1)
    assert [(c["username"], c["password"], c["api"]) for c in agent.calls("SetPowerManagement")] == [
        ("talos-agent", "secret", False),
        ("", "", True),
    ]
    assert wipe(provider, agent, zeroes=True).wipe_id == "w1"
    assert [call["zeroes"] for call in agent.calls("WipeDisks")] == [True]


@pytest.mark.parametrize("address", ["http://127.0.0.1:{}", "http://localhost:{}"])
def test_agent_reaches_us_by_an_address_with_a_scheme(provider, dial, address):
    provider.workers.hello(dial(address=address.format(provider.port)).id)


@pytest.mark.parametrize("flow_control", [False, True])
def test_long_messages_pass_both_ways(provider, dial, flow_control):
    agent = dial(flow_control=flow_control)
    agent.behave("GetPowerManagement", length=3_000_000)
    assert provider.workers.get_power_management(agent.id).ipmi_address == pattern(3_000_000)
    provider.workers.set_power_management_ipmi(agent.id, "u", pattern(3_000_000), 1)
    assert agent.calls("SetPowerManagement")[-1]["password"] == pattern(3_000_000)


def test_fifty_agents_wipe_at_once(provider, dial):
    agents = [dial() for _ in range(50)]
    for agent in agents:
        agent.behave("WipeDisks", delay_ms=500)
    with ThreadPoolExecutor(50) as pool:
        began = time.monotonic()
        list(pool.map(lambda agent: wipe(provider, agent), agents))
    assert time.monotonic() - began < 10
    assert all(agent.states("WipeDisks") == ["done"] for agent in agents)


@pytest.mark.parametrize(
    ("code", "words", "error"),
    [
        (9, 'blockdevice "sda" is in use by disk "md127"', WipeRefused),
        (0, 'rpc error: code = FailedPrecondition desc = blockdevice "sda" is in use', WipeRefused),
        (0, "input/output error", AgentFailed),
        (13, "error creating ipmi client: ipmi dev file not opened", AgentFailed),
        (0, "rpc error: context deadline exceeded", AgentTimeout),
        (0, "context canceled", AgentGone),
    ],
)
def test_failure_is_told_by_what_can_be_done(provider, dial, code, words, error):
    agent = dial()
    agent.behave("WipeDisks", code=code, words=words)
    with pytest.raises(error, match=words.split('"')[0]):
        wipe(provider, agent)
    agent.behave("WipeDisks")
    wipe(provider, agent)


def test_call_past_its_limit_is_cancelled_at_the_agent(provider, dial):
    agent = dial()
    agent.behave("WipeDisks", hang=True)
    began = time.monotonic()
    with pytest.raises(AgentTimeout):
        wipe(provider, agent, timeout_s=0.5)
    assert time.monotonic() - began < 3
    wait_until(lambda: agent.states("WipeDisks") == ["cancelled"])
    provider.workers.hello(agent.id)


# Tunnels that end


def test_agent_killed_amid_a_wipe_fails_it_at_once(provider, dial, start):
    with start("agent") as doomed:
        agent = dial(of=doomed)
        agent.behave("WipeDisks", hang=True)
        running = Wipe(provider, agent)
        began = time.monotonic()
        doomed.kill()
        assert isinstance(running.failure(), AgentGone)
        assert time.monotonic() - began < 2
    wait_until(lambda: provider.lookup.find(agent.id) is None)
    with pytest.raises(AgentGone):
        provider.workers.hello(agent.id)


def test_agent_that_dies_of_the_call_itself_fails_it_at_once(provider, dial, start):
    with start("agent") as doomed:
        agent = dial(of=doomed)
        agent.behave("WipeDisks", delay_ms=200, die=True)
        with pytest.raises(AgentGone):
            wipe(provider, agent, timeout_s=60)
        assert doomed.wait() == -signal.SIGKILL


def test_agent_that_leaves_with_a_goodbye_is_gone(provider, dial):
    agent = dial()
    agent.stop()
    wait_until(lambda: provider.lookup.find(agent.id) is None)


def test_agent_that_dials_again_is_held_anew_and_works(provider, dial):
    agent = dial(redial=True)
    number = provider.lookup.find(agent.id)[2]
    agent.behave("WipeDisks", hang=True)
    running = Wipe(provider, agent)
    agent.cut()
    assert isinstance(running.failure(), AgentGone)
    wait_until(lambda: (provider.lookup.find(agent.id) or (0, 0, 0))[2] > number and provider.holds(agent))
    agent.behave("WipeDisks")
    wipe(provider, agent, "w2")
    assert agent.states("WipeDisks") == ["cancelled", "done"]


def test_newest_tunnel_of_a_machine_wins_and_the_older_one_is_told_to_dial_again(provider, dial, program):
    older = dial()
    older.behave("WipeDisks", hang=True)
    running = Wipe(provider, older)
    newer = GoAgent(program, provider.plain, older.id)
    assert isinstance(running.failure(), AgentGone)
    wait_until(lambda: older.ended() is not None)
    assert "code = Aborted" in older.ended()
    assert "newer tunnel" in older.ended()
    wait_until(lambda: provider.holds(newer) and newer.calls("Hello"))
    provider.workers.hello(newer.id)
    assert len(newer.calls("Hello")) == 2
    newer.stop()


@pytest.mark.parametrize("machine_id", ["", "not-a-uuid"])
def test_agent_without_a_machine_id_is_turned_away(provider, program, machine_id):
    agent = GoAgent(program, provider.plain, machine_id)
    wait_until(lambda: agent.ended() is not None)
    assert "code = InvalidArgument" in agent.ended()


# Gateways that end; these come last, because they end the one that all use


def test_gateway_that_is_told_to_end_sends_its_agents_to_the_next_one(provider, dial):
    agent = dial(redial=True)
    agent.behave("WipeDisks", hang=True)
    running = Wipe(provider, agent)
    assert provider.end("gateway") == 0
    assert isinstance(running.failure(), AgentGone)
    wait_until(lambda: agent.states("WipeDisks") == ["cancelled"])
    assert "code = Aborted desc = the gateway is stopping" in agent.dials()[0]["error"]
    provider.start("gateway")
    wait_until(lambda: provider.holds(agent), START_LIMIT_S)
    agent.behave("WipeDisks")
    wipe(provider, agent, "w2")


def test_gateway_that_is_killed_amid_a_wipe_is_followed_by_another(provider, dial):
    agent = dial(redial=True)
    agent.behave("WipeDisks", hang=True)
    running = Wipe(provider, agent)
    provider.end("gateway", signal.SIGKILL)
    assert running.failure() is not None
    wait_until(lambda: agent.states("WipeDisks") == ["cancelled"])
    provider.start("gateway")
    agent.behave("WipeDisks")
    wait_until(lambda: _says_hello(provider, agent), START_LIMIT_S)
    wipe(provider, agent, "w2")
    assert agent.states("WipeDisks") == ["cancelled", "done"]


def test_web_that_is_restarted_ends_tunnels_and_takes_them_again(provider, dial):
    agent = dial(redial=True)
    number = provider.lookup.find(agent.id)[2]
    assert provider.end("web") == 0
    wait_until(lambda: agent.dials()[0]["ended"])
    provider.start("web")
    wait_until(lambda: (provider.lookup.find(agent.id) or (0, 0, 0))[2] > number, START_LIMIT_S)
    wait_until(lambda: _says_hello(provider, agent))


def _says_hello(provider, agent):
    with contextlib.suppress(AgentError):
        provider.workers.hello(agent.id)
        return True
    return False
