"""What is said of agents that dial in without TLS though it is served."""

import asyncio

import grpc
import pytest

from app.agents.dialin import DialIn
from app.agents.presence import Presence
from app.agents.second_tunnel import TunnelRefused
from app.front.peer import name_for
from tests.unit.agents.fake_registry import FakeRegistry

ID = "4c4c4544-0042-3010-8052-b4c04f4e3632"
ADDRESS = "192.0.2.66"


class Admits:
    """Lets everybody in, or nobody."""

    def __init__(self, *, admits):
        self.admits = admits

    async def admit(self, session):
        if not self.admits:
            raise TunnelRefused("the machine has a tunnel from another address")


class Context:
    """One dial as gRPC shows it; the agent hangs up as soon as it is let in."""

    def __init__(self):
        self.ended = None

    def peer(self):
        return "unix-abstract:%00" + name_for(ADDRESS).decode().removeprefix("\0")

    def invocation_metadata(self):
        return (("machine-id", ID),)

    async def send_initial_metadata(self, metadata):
        pass

    async def read(self):
        return None

    async def abort(self, code, reason):
        self.ended = code, reason


@pytest.mark.parametrize("admits", [True, False])
def test_tunnel_without_tls_is_said_and_counted_only_where_it_is_let_in(capsys, admits):
    registry = FakeRegistry()

    async def story():
        presence = Presence(registry, "g1", "127.0.0.1:1")
        dial_in, context = DialIn(presence, Admits(admits=admits), tls_served=True), Context()
        for _ in range(20):
            await dial_in.OpenReverseTunnel(None, context)
        await presence.close("stopping")
        assert context.ended[0] is grpc.StatusCode.ABORTED

    asyncio.run(story())
    assert registry.without_tls == (20 if admits else 0)
    assert capsys.readouterr().out.count("tunnel_without_tls") == (20 if admits else 0)
