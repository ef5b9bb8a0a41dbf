"""Agents that come over TLS, with Go's own TLS at their end, against the processes of the provider."""

from datetime import UTC, datetime

import pytest

from app.agents.errors import AgentGone
from app.tls.authority import Authority, make_authority
from tests.integration.agents_site import redis_server
from tests.integration.children import wait_until
from tests.interop.go_agent import GoAgent, pattern
from tests.interop.provider import Provider

pytestmark = pytest.mark.interop

DAY_S = 86_400.0


@pytest.fixture(scope="module", params=["ours", "theirs"])
def authority(request, start):
    """One that we have made, and one as the Go provider makes it."""
    if request.param == "ours":
        return make_authority(DAY_S, datetime.now(UTC))
    with start("authority") as library:
        made = library.ask("make")
    return Authority(made["ca_cert"], made["ca_key"])


@pytest.fixture(scope="module")
def provider(authority):
    with redis_server() as server, Provider(server, "--tls-enabled") as running:
        running.mirror.put_ca(authority)
        wait_until(lambda: "certificate_shown" in running.log, 20)
        yield running


@pytest.fixture(scope="module")
def program(start):
    with start("agent") as running:
        yield running


@pytest.fixture
def dial(provider, program):
    agents = []

    def dial(address="", **options):
        agents.append(GoAgent(program, address or provider.secure, **options))
        return agents[-1]

    yield dial
    for agent in agents:
        agent.stop()


@pytest.mark.parametrize("flow_control", [False, True])
def test_agent_that_trusts_our_authority_works(provider, dial, authority, flow_control):
    agent = dial(ca=authority.certificate, flow_control=flow_control)
    wait_until(lambda: provider.holds(agent), 20)
    provider.workers.hello(agent.id)
    agent.behave("GetPowerManagement", length=1_000_000)
    assert provider.workers.get_power_management(agent.id).ipmi_address == pattern(1_000_000)
    provider.workers.set_power_management_ipmi(agent.id, "u", pattern(1_000_000), 1)
    assert agent.calls("SetPowerManagement")[-1]["password"] == pattern(1_000_000)


def test_agent_that_verifies_nothing_works(provider, dial):
    agent = dial(skip_verify=True)
    wait_until(lambda: provider.holds(agent), 20)
    provider.workers.hello(agent.id)


def test_agent_that_dials_again_over_tls_is_held_anew(provider, dial, authority):
    agent = dial(ca=authority.certificate, redial=True)
    wait_until(lambda: provider.holds(agent), 20)
    number = provider.lookup.find(agent.id)[2]
    agent.cut()
    wait_until(lambda: (provider.lookup.find(agent.id) or (0, 0, 0))[2] > number, 20)
    wait_until(lambda: provider.holds(agent))
    provider.workers.hello(agent.id)


def test_hundred_agents_over_tls_are_held_at_once(provider, dial, authority):
    agents = [dial(ca=authority.certificate) for _ in range(100)]
    wait_until(lambda: all(provider.holds(agent) for agent in agents), 30)


@pytest.mark.parametrize(
    ("tls", "words"),
    [
        ({}, "certificate signed by unknown authority"),
        ({"ca": make_authority(DAY_S, datetime.now(UTC)).certificate}, "certificate signed by unknown authority"),
        ({"skip_verify": True, "old_tls": True}, "protocol version not supported"),
    ],
)
def test_agent_that_does_not_trust_us_or_is_too_old_sees_why(provider, dial, tls, words):
    agent = dial(**tls)
    wait_until(lambda: agent.ended() is not None, 20)
    assert words in agent.ended()
    assert not agent.dials()[-1]["served"]
    with pytest.raises(AgentGone):
        provider.workers.hello(agent.id)


def test_agent_without_tls_gets_nothing_on_the_port_for_tls(provider, dial):
    agent = dial(f"http://127.0.0.1:{provider.tls_port}")
    wait_until(lambda: agent.ended() is not None, 20)
    assert "code = Unavailable" in agent.ended()


def test_port_without_tls_takes_agents_beside_it(provider, dial):
    agent = dial(provider.plain)
    wait_until(lambda: provider.holds(agent), 20)
    provider.workers.hello(agent.id)
