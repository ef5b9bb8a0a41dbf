"""One gateway: its two listeners, the tunnels it holds and the wipes it runs.

Agents dial in on a unix socket behind the public port; workers call on the internal listener.

What happens when a gateway is told to end: it takes no more tunnels and begins no more wipes, waits a few seconds for
the wipes that run, and closes its tunnels. To an agent the end of its tunnel is the end of every call in it, so it
stops a wipe that is not through by then; the waiting worker is told that the agent is gone, nothing is recorded, and
the wipe is due again as soon as the agent has dialled the next gateway. If the gateway dies the same happens without
the wait.
"""

from __future__ import annotations

import asyncio
import secrets
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import grpc
import structlog

from app.agents.dialin import DialIn
from app.agents.elsewhere import Elsewhere
from app.agents.internal import KEEPALIVE
from app.agents.presence import Presence
from app.agents.registry import Registry
from app.agents.second_tunnel import Admission
from app.agents.service import GatewayService, TokenCheck
from app.agents.wipes import WipeBook
from protos.gen.gateway.gateway_pb2_grpc import add_GatewayServicer_to_server
from protos.gen.tunnel.tunnel_pb2_grpc import add_TunnelServiceServicer_to_server

log = structlog.get_logger()

# All processes must be gone 10 s after they are told to end. A fast wipe takes seconds; five leave the other five for
# goodbyes.
WIPES_LIMIT_S: Final = 5.0
# What callers are still told after the tunnels are closed.
CLOSING_LIMIT_S: Final = 1.0
# A frame holds at most 16 KiB of data; whoever sends more is no agent.
TUNNEL_OPTIONS: Final = (*KEEPALIVE, ("grpc.max_receive_message_length", 256 * 1024))
INTERNAL_OPTIONS: Final = (
    *KEEPALIVE,
    # Workers ping as often as we do; by itself gRPC hangs up on them for that.
    ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 5_000),
    ("grpc.http2.max_ping_strikes", 0),
    # A second gateway on the same address is a mistake, and must not take half of the calls.
    ("grpc.so_reuseport", 0),
)


class PortTaken(Exception):
    """The internal listener could not be opened."""


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where a gateway is reached.

    tunnel_socket: the unix socket on which agents dial in.
    internal: host:port on which workers call; port 0 = any free one.
    advertised_host: the host that workers are told; empty = that of `internal`.
    tls_served: agents can come over TLS, so one that does not is worth a warning.
    """

    tunnel_socket: Path
    internal: str
    advertised_host: str = ""
    tls_served: bool = False


class Gateway:
    """A running gateway. `start`, then `stop` once."""

    def __init__(self, registry: Registry, token: str, addresses: Addresses) -> None:
        self.id = f"{socket.gethostname()}-{secrets.token_hex(4)}"
        self.address = ""
        self._registry = registry
        self._token = token
        self._addresses = addresses
        self._wipes = WipeBook()

    async def start(self) -> None:
        """Open both listeners. Raises PortTaken."""
        internal = grpc.aio.server(interceptors=[TokenCheck(self._token)], options=INTERNAL_OPTIONS)
        self.address = self._listen(internal)
        self._presence = Presence(self._registry, self.id, self.address)
        add_GatewayServicer_to_server(GatewayService(self._presence, self._wipes), internal)
        admission = Admission(self._presence, Elsewhere(self._token).answers)
        self._dial_in = DialIn(self._presence, admission, tls_served=self._addresses.tls_served)
        tunnels = grpc.aio.server(options=TUNNEL_OPTIONS)
        add_TunnelServiceServicer_to_server(self._dial_in, tunnels)
        tunnels.add_insecure_port(f"unix:{self._addresses.tunnel_socket}")
        self._servers = (internal, tunnels)
        for server in self._servers:
            await server.start()
        self._renewing = asyncio.create_task(self._presence.keep_renewing())
        log.info("gateway_started", gateway=self.id, address=self.address)

    async def stop(self) -> None:
        """End as the module describes."""
        self._dial_in.stop()
        await self._wipes.stop(WIPES_LIMIT_S)
        self._renewing.cancel()
        await self._presence.close("the gateway is stopping")
        await asyncio.gather(*(server.stop(CLOSING_LIMIT_S) for server in self._servers))
        self._addresses.tunnel_socket.unlink(missing_ok=True)
        log.info("gateway_stopped", gateway=self.id)

    def _listen(self, server: grpc.aio.Server) -> str:
        host, _, _ = self._addresses.internal.rpartition(":")
        try:
            port = server.add_insecure_port(self._addresses.internal)
        except RuntimeError:
            raise PortTaken(f"{self._addresses.internal} cannot be listened on") from None
        return f"{self._addresses.advertised_host or host}:{port}"
