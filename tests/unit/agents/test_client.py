import fakeredis
import grpc
import pytest

from app.agents import client as module
from app.agents.client import GatewayClient
from app.agents.errors import AgentError, AgentFailed, AgentGone, AgentTimeout, GatewayUnreachable
from app.agents.internal import ERROR_KEY
from app.state.agents import agent_key
from protos.gen.gateway import gateway_pb2 as pb

ID = "m1"


class Ended(grpc.RpcError):
    """A call that ended with a status."""

    def __init__(self, code, slug=""):
        self._code = code
        self._slug = slug

    def code(self):
        return self._code

    def details(self):
        return "words"

    def trailing_metadata(self):
        return ((ERROR_KEY, self._slug),) if self._slug else None


class FakeStub:
    """A gateway that answers as `outcome` says."""

    outcome = None

    def __init__(self, channel):
        pass

    def _answer(self, request, timeout, metadata):
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome

    Hello = WipeRunning = _answer


@pytest.fixture
def client(monkeypatch):
    monkeypatch.setattr(module, "GatewayStub", FakeStub)
    server = fakeredis.FakeRedis()
    entry = {"gateway": "g", "address": "127.0.0.1:1", "number": 1, "opened_ms": 1, "hello_ms": 1}
    server.hset(agent_key(ID), mapping=entry)
    client = GatewayClient(server, "token")
    yield client
    client.close()


@pytest.mark.parametrize("running", [True, False])
def test_gateway_tells_whether_a_wipe_runs(client, monkeypatch, running):
    monkeypatch.setattr(FakeStub, "outcome", pb.WipeRunningReply(running=running))
    assert client.wipe_running(ID) is running


@pytest.mark.parametrize(
    "error",
    [
        Ended(grpc.StatusCode.INTERNAL),
        Ended(grpc.StatusCode.UNKNOWN),
        Ended(grpc.StatusCode.UNIMPLEMENTED),
        Ended(grpc.StatusCode.UNAVAILABLE),
        Ended(grpc.StatusCode.UNAUTHENTICATED),
        Ended(grpc.StatusCode.UNKNOWN, AgentFailed.slug),
        Ended(grpc.StatusCode.UNKNOWN, AgentTimeout.slug),
    ],
    ids=lambda e: f"{e.code().name}-{e._slug}",
)
def test_whether_a_wipe_runs_is_unknown_whatever_the_gateway_answers_instead(client, monkeypatch, error):
    monkeypatch.setattr(FakeStub, "outcome", error)
    with pytest.raises(GatewayUnreachable, match=r"words|token"):
        client.wipe_running(ID)


def test_no_wipe_runs_where_no_tunnel_is(client, monkeypatch):
    assert client.wipe_running("m2") is False
    monkeypatch.setattr(FakeStub, "outcome", Ended(grpc.StatusCode.UNKNOWN, AgentGone.slug))
    assert client.wipe_running(ID) is False


def test_other_calls_tell_a_failure_as_the_gateway_told_it(client, monkeypatch):
    monkeypatch.setattr(FakeStub, "outcome", Ended(grpc.StatusCode.INTERNAL))
    with pytest.raises(AgentError) as caught:
        client.hello(ID)
    assert type(caught.value) is AgentFailed
