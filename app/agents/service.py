"""What workers may ask of this gateway, on the internal listener."""

from __future__ import annotations

import contextlib
import hmac
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc
import structlog

from app.agents.errors import AgentError
from app.agents.fences import Fences
from app.agents.internal import AUTHORIZATION_KEY, ERROR_KEY, from_wire, to_wire
from app.agents.presence import Presence
from app.agents.wipes import WipeBook
from protos.gen.gateway import gateway_pb2 as pb
from protos.gen.gateway.gateway_pb2_grpc import GatewayServicer

log = structlog.get_logger()

# The generated type mixes the interfaces of both kinds of server.
Context = Any


class GatewayService(GatewayServicer):
    """Serves the workers. A caller that goes away ends its call to the agent, except for a wipe."""

    def __init__(self, presence: Presence, wipes: WipeBook) -> None:
        self._presence = presence
        self._wipes = wipes
        self._fences = Fences()

    async def Hello(self, request: pb.MachineRequest, context: Context) -> pb.HelloReply:  # noqa: N802
        """Ask the agent whether it is there."""
        async with _told(context):
            await self._presence.agent(request.machine_id).hello(_seconds(request.timeout_ms))
        return pb.HelloReply()

    async def GetPowerManagement(self, request: pb.MachineRequest, context: Context) -> pb.PowerManagementReply:  # noqa: N802
        """Ask the agent how the power can be managed."""
        reply = pb.PowerManagementReply()
        async with _told(context):
            power = await self._presence.agent(request.machine_id).get_power_management(_seconds(request.timeout_ms))
            if power.ipmi:
                reply.ipmi.address, reply.ipmi.port = power.ipmi_address, power.ipmi_port
            if power.api:
                reply.api.SetInParent()
        return reply

    async def SetPowerManagement(  # noqa: N802
        self, request: pb.SetPowerManagementRequest, context: Context
    ) -> pb.SetPowerManagementReply:
        """Have the agent make a BMC user, or none."""
        timeout_s = _seconds(request.timeout_ms)
        async with _told(context):
            self._fences.check(request.machine_id, request.fence)
            agent = self._presence.agent(request.machine_id)
            if request.WhichOneof("kind") == "ipmi":
                await agent.set_power_management_ipmi(request.ipmi.username, request.ipmi.password, timeout_s)
            else:
                await agent.set_power_management_api(timeout_s)
        return pb.SetPowerManagementReply()

    async def Wipe(self, request: pb.WipeRequest, context: Context) -> pb.WipeReply:  # noqa: N802
        """Wipe, or join the wipe that runs."""
        machine_id = request.machine_id

        async def begin() -> None:
            agent = self._presence.agent(machine_id)
            await agent.wipe_disks(_seconds(request.timeout_ms), zeroes=request.zeroes)

        reply = pb.WipeReply()
        async with _told(context):
            self._fences.check(machine_id, request.fence)
            reply.ticket.CopyFrom(to_wire(await self._wipes.wipe(machine_id, from_wire(request.ticket), begin)))
        return reply

    async def WipeRunning(self, request: pb.MachineRequest, context: Context) -> pb.WipeRunningReply:  # noqa: ARG002, N802
        """Whether a wipe of the machine runs here."""
        return pb.WipeRunningReply(running=self._wipes.running(request.machine_id))


class TokenCheck(grpc.aio.ServerInterceptor):
    """Turns away every call without the token that provider processes share."""

    def __init__(self, token: str) -> None:
        self._expected = f"Bearer {token}".encode()

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        details: grpc.HandlerCallDetails,
    ) -> Any:
        """Let the call through or answer it UNAUTHENTICATED."""
        shown = [value for key, value in details.invocation_metadata or () if key == AUTHORIZATION_KEY]
        if len(shown) == 1 and hmac.compare_digest(str(shown[0]).encode(), self._expected):
            return await continuation(details)
        log.warning("gateway_token_refused", method=details.method)
        return grpc.unary_unary_rpc_method_handler(_refuse)


async def _refuse(request: object, context: Context) -> None:  # noqa: ARG001 - gRPC calls it with both
    await context.abort(grpc.StatusCode.UNAUTHENTICATED, "not the token of this gateway's provider")


@contextlib.asynccontextmanager
async def _told(context: Context) -> AsyncIterator[None]:
    """Tell the caller of an AgentError, with its class."""
    try:
        yield
    except AgentError as error:
        context.set_trailing_metadata(((ERROR_KEY, error.slug),))
        await context.abort(grpc.StatusCode.ABORTED, str(error))


def _seconds(milliseconds: int) -> float:
    return milliseconds / 1000
