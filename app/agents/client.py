"""How workers reach a machine's agent: through the gateway that holds its tunnel.

    gateway = GatewayClient(redis_client, token)
    gateway.hello(machine_id)

Made once per process, for use from any number of threads or greenlets. Every call may raise an AgentError
(app.agents.errors), and `redis.RedisError` where the registry cannot be read.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar

import grpc
import redis

from app.agents.agent import PowerManagement
from app.agents.channels import Channels
from app.agents.errors import BY_SLUG, AgentError, AgentFailed, AgentGone, GatewayUnreachable
from app.agents.internal import AUTHORIZATION_KEY, ERROR_KEY, KEEPALIVE, from_wire, to_wire
from app.agents.wipes import WipeTicket
from app.state.agents import AgentLookup
from protos.gen.gateway import gateway_pb2 as pb
from protos.gen.gateway.gateway_pb2_grpc import GatewayStub

__all__ = ["GatewayClient", "PowerManagement", "WipeTicket"]

# The default of --agent-call-timeout.
CALL_TIMEOUT_S: Final = 30.0
# The gateway's own limit is to end a call first: only it can say how far the call came.
MARGIN_S: Final = 5.0
# A gateway that is asked about itself answers at once.
OWN_ANSWER_TIMEOUT_S: Final = 5.0
# After a gateway's restart workers shall find it within seconds; gRPC's own pause grows to two minutes.
CHANNEL_OPTIONS: Final = (
    *KEEPALIVE,
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.min_reconnect_backoff_ms", 1_000),
    ("grpc.max_reconnect_backoff_ms", 2_000),
    ("grpc.enable_http_proxy", 0),
    ("grpc.enable_retries", 0),
)

_ReplyT = TypeVar("_ReplyT")
_Call = Callable[[GatewayStub], Callable[..., _ReplyT]]


class GatewayClient:
    """Calls agents by machine id."""

    def __init__(self, client: redis.Redis, token: str, *, call_timeout_s: float = CALL_TIMEOUT_S) -> None:
        self._lookup = AgentLookup(client)
        self._metadata = ((AUTHORIZATION_KEY, f"Bearer {token}"),)
        self._call_timeout_s = call_timeout_s
        self._channels = Channels(lambda address: grpc.insecure_channel(address, options=CHANNEL_OPTIONS))

    def hello(self, machine_id: str) -> None:
        """Return when the agent answers."""
        self._call(machine_id, lambda stub: stub.Hello, self._about(machine_id), self._call_timeout_s + MARGIN_S)

    def get_power_management(self, machine_id: str) -> PowerManagement:
        """Ask the agent how the machine's power can be managed."""
        limit_s = self._call_timeout_s + MARGIN_S
        reply = self._call(machine_id, lambda stub: stub.GetPowerManagement, self._about(machine_id), limit_s)
        return PowerManagement(
            ipmi_address=reply.ipmi.address,
            ipmi_port=reply.ipmi.port,
            ipmi=reply.HasField("ipmi"),
            api=reply.HasField("api"),
        )

    def set_power_management_ipmi(self, machine_id: str, username: str, password: str, fence: int) -> None:
        """Have the agent make a BMC user, or set its password."""
        ipmi = pb.SetPowerManagementRequest.IPMI(username=username, password=password)
        self._set_power_management(machine_id, pb.SetPowerManagementRequest(ipmi=ipmi), fence)

    def set_power_management_api(self, machine_id: str, fence: int) -> None:
        """Tell the agent that the power is managed over the HTTP API kind."""
        api = pb.SetPowerManagementRequest.API()
        self._set_power_management(machine_id, pb.SetPowerManagementRequest(api=api), fence)

    def wipe(self, machine_id: str, ticket: WipeTicket, *, zeroes: bool, timeout_s: float, fence: int) -> WipeTicket:
        """Wipe all disks, or join the wipe that runs; the gateway goes on with it whatever becomes of us.

        Returns:
            The ticket with which the wipe that answers began: the values to record.
        """
        request = pb.WipeRequest(
            machine_id=machine_id,
            timeout_ms=_milliseconds(timeout_s),
            fence=fence,
            zeroes=zeroes,
            ticket=to_wire(ticket),
        )
        return from_wire(self._call(machine_id, lambda stub: stub.Wipe, request, timeout_s + MARGIN_S).ticket)

    def wipe_running(self, machine_id: str) -> bool:
        """Whether a gateway runs a wipe of the machine. Raises GatewayUnreachable where that is not known."""
        try:
            reply = self._call(machine_id, lambda stub: stub.WipeRunning, self._about(machine_id), OWN_ANSWER_TIMEOUT_S)
        except AgentGone:
            return False
        except GatewayUnreachable:
            raise
        except AgentError as error:
            raise GatewayUnreachable(str(error)) from None
        return reply.running

    def close(self) -> None:
        """Close all connections."""
        self._channels.close()

    def _about(self, machine_id: str) -> pb.MachineRequest:
        return pb.MachineRequest(machine_id=machine_id, timeout_ms=_milliseconds(self._call_timeout_s))

    def _set_power_management(self, machine_id: str, request: pb.SetPowerManagementRequest, fence: int) -> None:
        request.machine_id = machine_id
        request.timeout_ms = _milliseconds(self._call_timeout_s)
        request.fence = fence
        self._call(machine_id, lambda stub: stub.SetPowerManagement, request, self._call_timeout_s + MARGIN_S)

    def _call(self, machine_id: str, method: _Call[_ReplyT], request: object, timeout_s: float) -> _ReplyT:
        found = self._lookup.find(machine_id)
        if found is None:
            raise AgentGone("the agent of the machine has no tunnel open")
        _, address, _ = found
        with self._channels.use(address) as channel:
            call = method(GatewayStub(channel))
            try:
                return call(request, timeout=timeout_s, metadata=self._metadata)
            except grpc.RpcError as error:
                raise _meaning(error, address) from None


def _meaning(error: Any, address: str) -> AgentError:
    """What the gateway told, or that it told nothing. What gRPC raises is also the call, which its types do not say."""
    trailers = dict(error.trailing_metadata() or ())
    kind = BY_SLUG.get(str(trailers.get(ERROR_KEY, "")))
    words = error.details() or ""
    if kind is not None:
        return kind(words)
    if error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED):
        return GatewayUnreachable(f"the agent gateway at {address} does not answer ({error.code().name}: {words})")
    if error.code() is grpc.StatusCode.UNAUTHENTICATED:
        return GatewayUnreachable(
            f"the agent gateway at {address} refuses our token: it needs the same service account key, or state "
            "directory, and the same --id as we have"
        )
    return AgentFailed(f"the agent gateway at {address} failed: {error.code().name}: {words}")


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)
