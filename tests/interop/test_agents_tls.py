"""Agents that come over TLS, with Go's own TLS at their end, against the processes of the provider."""

from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from app.agents.errors import AgentGone
from app.tls.authority import Authority, make_authority
from tests.integration.agents_site import redis_server
from tests.integration.children import wait_until
from tests.interop.go_agent import GoAgent, pattern
from tests.interop.provider import Provider
from tests.unit.tls.certificates import make

pytestmark = pytest.mark.interop

DAY_S = 86_400.0


@dataclass(frozen=True)
class Trust:
    """What the provider is given, and what agents have to trust then. authority: of our own kind; options: files."""

    ca: str
    authority: Authority | None = None
    options: tuple[str, ...] = ()


@pytest.fixture(scope="module", params=["ours", "theirs", "files"])
def trust(request, start, tmp_path_factory):
    """An authority that we have made, one as the Go provider makes it, or an operator's own ECDSA certificates."""
    if request.param == "files":
        return own_files(tmp_path_factory.mktemp("certificates"))
    if request.param == "ours":
        made = make_authority(DAY_S, datetime.now(UTC))
        return Trust(made.certificate, made)
    with start("authority") as library:
        texts = library.ask("make")
    return Trust(texts["ca_cert"], Authority(texts["ca_cert"], texts["ca_key"]))


def own_files(folder):
    """A certificate of an authority below the one that agents know."""
    top = make("top", ca=True)
    middle = make("middle", by=top, ca=True)
    chain, key = make("leaf", by=middle, names=["127.0.0.1"]).write(folder, "leaf")
    chain.write_bytes(chain.read_bytes() + middle.pem)
    ca, _ = top.write(folder, "top")
    return Trust(
        top.pem.decode(),
        options=(f"--tls-cert-file={chain}", f"--tls-key-file={key}", f"--tls-ca-cert-file={ca}"),
    )


@pytest.fixture(scope="module")
def provider(trust):
    with redis_server() as server, Provider(server, "--tls-enabled", *trust.options) as running:
        if trust.authority:
            running.mirror.put_ca(trust.authority)
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
def test_agent_that_trusts_our_authority_works(provider, dial, trust, flow_control):
    agent = dial(ca=trust.ca, flow_control=flow_control)
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


def test_agent_that_dials_again_over_tls_is_held_anew(provider, dial, trust):
    agent = dial(ca=trust.ca, redial=True)
    wait_until(lambda: provider.holds(agent), 20)
    number = provider.lookup.find(agent.id)[2]
    agent.cut()
    wait_until(lambda: (provider.lookup.find(agent.id) or (0, 0, 0))[2] > number, 20)
    wait_until(lambda: provider.holds(agent))
    provider.workers.hello(agent.id)


def test_hundred_agents_over_tls_are_held_at_once(provider, dial, trust):
    agents = [dial(ca=trust.ca) for _ in range(100)]
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
