"""Asks another gateway whether the agent that it holds answers, on that one's internal listener."""

from __future__ import annotations

import asyncio
from typing import Any, Final

import grpc

from app.agents.errors import AgentGone
from app.agents.internal import AUTHORIZATION_KEY, ERROR_KEY, KEEPALIVE
from app.agents.patience import done_within
from protos.gen.gateway import gateway_pb2 as pb
from protos.gen.gateway.gateway_pb2_grpc import GatewayStub

# It is asked once in a while, so each question has a connection of its own.
OPTIONS: Final = (*KEEPALIVE, ("grpc.use_local_subchannel_pool", 1), ("grpc.enable_http_proxy", 0))
# The agents' library merges equal calls: one that ended with somebody else's is made again after this pause.
AGAIN_S: Final = 0.2
# What gRPC, and the gateway that is asked, still wait for when our own limit is over. Their limits run on while a
# process is paused, and must not end the question before its answer is read.
MARGIN: Final = 4


class Elsewhere:
    """The other gateways."""

    def __init__(self, token: str) -> None:
        """Be ready to ask. token: the one that the provider's processes share."""
        self._metadata = ((AUTHORIZATION_KEY, f"Bearer {token}"),)

    async def answers(self, address: str, machine_id: str, limit_s: float) -> bool:
        """Whether a machine's agent answers a greeting through the gateway at this address, host:port.

        A gateway that cannot be reached, or does not answer within the limit, says nothing for its agent: False.
        """
        longer_s = MARGIN * limit_s
        request = pb.MachineRequest(machine_id=machine_id, timeout_ms=round(longer_s * 1000))
        async with grpc.aio.insecure_channel(address, options=OPTIONS) as channel:
            asking = asyncio.ensure_future(self._ask(GatewayStub(channel), request, longer_s))
            try:
                return await done_within(asking, limit_s) and asking.result()
            finally:
                asking.cancel()
                await asyncio.gather(asking, return_exceptions=True)

    async def _ask(self, stub: Any, request: pb.MachineRequest, limit_s: float) -> bool:
        while True:
            try:
                await stub.Hello(request, timeout=limit_s, metadata=self._metadata)
            except grpc.aio.AioRpcError as error:
                trailers = dict(error.trailing_metadata() or ())
                if trailers.get(ERROR_KEY) != AgentGone.slug:
                    return False
                await asyncio.sleep(AGAIN_S)
            else:
                return True
