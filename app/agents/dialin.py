"""Where agents dial in: the tunnel service, from the first header to the end of the tunnel."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable
from typing import Any, Final

import grpc
import structlog

from app.agents.agent import Agent
from app.agents.frames import (
    NEGOTIATE_KEY,
    NEGOTIATE_VALUE,
    SETTINGS_STREAM,
    WINDOW_BYTES,
    FrameError,
    Revision,
    agreed,
)
from app.agents.machine_ids import NoMachineId, machine_id_in
from app.agents.presence import Presence
from app.agents.second_tunnel import Admission, TunnelRefused
from app.agents.session import Session, greet, pause_s
from app.agents.tunnel import Tunnel
from app.front.peer import address_of, came_without_tls
from protos.gen.tunnel.tunnel_pb2 import ClientToServer, ServerToClient
from protos.gen.tunnel.tunnel_pb2_grpc import TunnelServiceServicer

log = structlog.get_logger()

# The agent sends its settings as soon as it has our headers; ten seconds are many round trips over any network.
SETTINGS_LIMIT_S: Final = 10.0

# The generated type mixes the interfaces of both kinds of server.
Context = Any


class DialIn(TunnelServiceServicer):
    """Serves OpenReverseTunnel."""

    def __init__(self, presence: Presence, admission: Admission, *, tls_served: bool = False) -> None:
        self._presence = presence
        self._admission = admission
        self._tls_served = tls_served
        self._stopping = False

    def stop(self) -> None:
        """Take no more tunnels."""
        self._stopping = True

    async def OpenTunnel(self, request_iterator: object, context: Context) -> None:  # type: ignore[override]  # noqa: ARG002, N802
        """Tunnels in the other direction are not for us."""
        await context.abort(grpc.StatusCode.UNIMPLEMENTED, "only reverse tunnels are served")

    async def OpenReverseTunnel(self, request_iterator: object, context: Context) -> None:  # type: ignore[override]  # noqa: ARG002, N802
        """Hold an agent's tunnel until it ends. Always ends with an error: to the agent that means, dial again."""
        address = address_of(context.peer()) or ""
        if self._stopping:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "this gateway is stopping")
        try:
            machine_id = machine_id_in(context.invocation_metadata() or ())
        except NoMachineId as error:
            log.warning("agent_without_machine_id", address=address, reason=str(error))
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
            return
        try:
            reason = await self._hold(machine_id, address, context)
        except asyncio.CancelledError:
            return  # the peer is gone: gRPC cancels us, and would print what we raise
        await context.abort(grpc.StatusCode.ABORTED, reason)

    async def _hold(self, machine_id: str, address: str, context: Context) -> str:
        wire = _GrpcWire(context)
        try:
            tunnel = await _open(wire, context)
        except (FrameError, TimeoutError) as error:
            log.warning("tunnel_not_opened", machine_id=machine_id, address=address, reason=str(error))
            return str(error)
        session = Session(machine_id, address, Agent(tunnel))
        try:
            await self._admission.admit(session)
        except TunnelRefused as error:
            return str(error)
        log.info("tunnel_opened", machine_id=machine_id, address=address)
        arriving = self._presence.arrive(session)
        if self._tls_served and came_without_tls(context.peer()):
            self._warn(session)
        keeping = asyncio.ensure_future(self._keep(session, arriving))
        reason = "the connection was lost"
        try:
            reason = await tunnel.serve()
        finally:
            keeping.cancel()
            self._presence.depart(session)
            log.info("tunnel_ended", machine_id=machine_id, address=address, reason=reason)
        return reason

    def _warn(self, session: Session) -> None:
        """An agent came without TLS. It is served all the same: it may hold a wipe that must not be lost."""
        log.warning(
            "tunnel_without_tls",
            machine_id=session.machine_id,
            address=session.address,
            hint="it was booted before TLS was switched on, and comes over TLS from its next boot on",
        )
        self._presence.count_without_tls()

    async def _keep(self, session: Session, arriving: Awaitable[None]) -> None:
        """Once the registry knows the tunnel, prove every so often that the agent lives."""
        await arriving
        first = True
        while await greet(session.agent):
            await self._presence.answered(session)
            await asyncio.sleep(pause_s(first=first))
            first = False
        session.close("the agent did not answer a greeting in time")


async def _open(wire: _GrpcWire, context: Context) -> Tunnel:
    """Send our headers, and learn from the agent's settings how to talk. Raises FrameError, TimeoutError."""
    await context.send_initial_metadata(((NEGOTIATE_KEY, NEGOTIATE_VALUE),))
    metadata = context.invocation_metadata() or ()
    if (NEGOTIATE_KEY, NEGOTIATE_VALUE) not in [(key, value) for key, value in metadata]:
        return Tunnel(wire, Revision.ZERO)
    try:
        async with asyncio.timeout(SETTINGS_LIMIT_S):
            frame = await wire.read()
    except TimeoutError:
        raise TimeoutError(f"the agent sent no settings within {SETTINGS_LIMIT_S:g} s") from None
    if frame is None:
        raise FrameError("the agent went away before it sent its settings")
    if frame.WhichOneof("frame") != "settings" or frame.stream_id != SETTINGS_STREAM:
        raise FrameError("the agent's first frame is not its settings")
    revision = agreed(frame.settings.supported_protocol_revisions)
    return Tunnel(wire, revision, frame.settings.initial_window_size or WINDOW_BYTES)


class _GrpcWire:
    """The frames of a gRPC stream."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def read(self) -> ServerToClient | None:
        """The next frame; None when the agent has closed the stream or the connection is lost."""
        frame = None
        with contextlib.suppress(grpc.aio.BaseError, grpc.aio.UsageError):
            frame = await self._context.read()
        return frame if isinstance(frame, ServerToClient) else None

    async def write(self, frame: ClientToServer) -> None:
        """Send a frame."""
        await self._context.write(frame)
