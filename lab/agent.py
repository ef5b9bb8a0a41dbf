"""A virtual machine's metal agent: dials the provider, and answers the calls that come through the tunnel.

    await LabAgent("http://192.0.2.1:50042", machine_id, handler).run()

It speaks the real protocol from the agent's side: negotiation, both revisions, windows in both directions, and calls
that end with their tunnel. A thousand of them live in one process.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

import grpc

from app.agents.frames import MACHINE_ID_KEY, NEGOTIATE_KEY, NEGOTIATE_VALUE, Revision
from lab.agent_calls import AgentHandler, AgentRefusal, CallServer, IpmiAddress, IpmiLogin
from lab.tls import TlsRefused, Trust, over_tls
from protos.gen.tunnel.tunnel_pb2_grpc import TunnelServiceStub

__all__ = ["AgentHandler", "AgentRefusal", "IpmiAddress", "IpmiLogin", "LabAgent", "TunnelEnded", "target_of"]

# Talos starts an agent that has ended again after about this time.
RESTART_S: Final = 1.0
HTTPS_PORT: Final = 443
# Each machine has a connection of its own, and no proxy stands in a rack.
CHANNEL_OPTIONS: Final = (("grpc.use_local_subchannel_pool", 1), ("grpc.enable_http_proxy", 0))


class TunnelEnded(Exception):
    """The tunnel could not be opened, or has ended; the text says why. The real agent exits then."""


class LabAgent:
    """The agent of one machine. `open` says whether its tunnel stands."""

    def __init__(
        self,
        address: str,
        machine_id: str,
        handler: AgentHandler,
        *,
        revisions: Sequence[Revision] | None = (Revision.ZERO, Revision.ONE),
        trust: Trust | None = None,
    ) -> None:
        """Set up an agent.

        Args:
            address: what stands in the kernel argument `metal.provider.address`.
            machine_id: the machine's UUID.
            handler: answers the calls.
            revisions: what it offers; None: it is so old that it does not negotiate.
            trust: whom it trusts where the address begins with https://; None: nobody.
        """
        self.open = False
        self._address = address
        self._trust = trust or Trust()
        self._machine_id = machine_id
        self._handler = handler
        self._revisions = revisions

    async def run(self) -> None:
        """Keep a tunnel open until cancelled, as Talos keeps an agent running."""
        while True:
            try:
                await self.serve()
            except TunnelEnded:
                await asyncio.sleep(RESTART_S)

    async def serve(self) -> None:
        """Open one tunnel and answer its calls. Ends with TunnelEnded, or when cancelled."""
        metadata = [(MACHINE_ID_KEY, self._machine_id)]
        if self._revisions is not None:
            metadata.append((NEGOTIATE_KEY, NEGOTIATE_VALUE))
        async with self._way() as target, grpc.aio.insecure_channel(target, options=CHANNEL_OPTIONS) as channel:
            stream = TunnelServiceStub(channel).OpenReverseTunnel(metadata=metadata)
            try:
                await self._answer_calls(stream)
            except grpc.aio.AioRpcError as error:
                raise TunnelEnded(f"{error.code().name}: {error.details()}") from None
            finally:
                self.open = False
                stream.cancel()
        raise TunnelEnded("the provider closed it")

    @contextlib.asynccontextmanager
    async def _way(self) -> AsyncIterator[str]:
        """What to dial without TLS: the provider itself, or our end of a connection over TLS."""
        parts = urlsplit(self._address)
        if parts.scheme != "https":
            yield target_of(self._address)
            return
        try:
            async with over_tls(parts.hostname or "", parts.port or HTTPS_PORT, self._trust) as target:
                yield target
        except TlsRefused as error:
            raise TunnelEnded(f"TLS: {error}") from None

    async def _answer_calls(self, stream: Any) -> None:
        headers = list(await stream.initial_metadata() or ())
        server = CallServer(stream.write, self._handler)
        writing = asyncio.ensure_future(server.keep_writing())
        try:
            if self._revisions is not None and (NEGOTIATE_KEY, NEGOTIATE_VALUE) in headers:
                server.send_settings(self._revisions)
            self.open = bool(headers)
            while (frame := await stream.read()) is not grpc.aio.EOF:
                server.take(frame)
            if await stream.code() is not grpc.StatusCode.OK:
                raise TunnelEnded(f"{(await stream.code()).name}: {await stream.details()}")
        finally:
            writing.cancel()
            await server.cancel_all()


def target_of(address: str) -> str:
    """What to dial for the value of a kernel argument: host:port, with or without http://."""
    return urlsplit(address).netloc if "://" in address else address
