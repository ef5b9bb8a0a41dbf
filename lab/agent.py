"""A virtual machine's metal agent: dials the provider, and answers the calls that come through the tunnel.

    await LabAgent("http://192.0.2.1:50042", machine_id, handler).run()

It speaks the real protocol from the agent's side: negotiation, both revisions, windows in both directions, and calls
that end with their tunnel. A thousand of them live in one process.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

import grpc

from app.agents.frames import (
    MACHINE_ID_KEY,
    NEGOTIATE_KEY,
    NEGOTIATE_VALUE,
    SETTINGS_STREAM,
    WINDOW_BYTES,
    Incoming,
    Revision,
    SendWindow,
    chunks,
)
from protos.gen.agent import agent_pb2
from protos.gen.tunnel.tunnel_pb2 import ClientToServer, CloseStream, MessageData, Metadata, ServerToClient, Settings
from protos.gen.tunnel.tunnel_pb2 import Status as WireStatus
from protos.gen.tunnel.tunnel_pb2_grpc import TunnelServiceStub

# Talos starts an agent that has ended again after about this time.
RESTART_S: Final = 1.0
# Each machine has a connection of its own, and no proxy stands in a rack.
CHANNEL_OPTIONS: Final = (("grpc.use_local_subchannel_pool", 1), ("grpc.enable_http_proxy", 0))


class TunnelEnded(Exception):
    """The tunnel could not be opened, or has ended; the text says why. The real agent exits then."""


class AgentRefusal(Exception):
    """What a handler raises to answer a call with an error."""

    def __init__(self, code: grpc.StatusCode, words: str) -> None:
        super().__init__(words)
        self.code = code
        self.words = words


@dataclass(frozen=True, slots=True)
class IpmiLogin:
    """The BMC user that the provider asks for."""

    username: str
    password: str


@dataclass(frozen=True, slots=True)
class IpmiAddress:
    """Where the machine's BMC listens."""

    address: str
    port: int


class AgentHandler(Protocol):
    """The machine that an agent runs on. A call that the provider cancels is cancelled."""

    async def hello(self) -> None:
        """The provider asks whether somebody is there."""

    async def get_power_management(self) -> IpmiAddress | None:
        """The address of the BMC; None where the power is managed over the HTTP API kind."""

    async def set_power_management(self, login: IpmiLogin | None) -> None:
        """Make this BMC user; None where the power is managed over the HTTP API kind."""

    async def wipe_disks(self, zeroes: bool) -> None:  # noqa: FBT001 - the one thing to know about a wipe
        """Wipe all disks; returns when done."""


class LabAgent:
    """The agent of one machine. `open` says whether its tunnel stands."""

    def __init__(
        self,
        address: str,
        machine_id: str,
        handler: AgentHandler,
        *,
        revisions: Sequence[Revision] | None = (Revision.ZERO, Revision.ONE),
    ) -> None:
        """Set up an agent.

        Args:
            address: what stands in the kernel argument `metal.provider.address`.
            machine_id: the machine's UUID.
            handler: answers the calls.
            revisions: what it offers; None: it is so old that it does not negotiate.
        """
        self.open = False
        self._target = target_of(address)
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
        async with grpc.aio.insecure_channel(self._target, options=CHANNEL_OPTIONS) as channel:
            stream = TunnelServiceStub(channel).OpenReverseTunnel(metadata=metadata)
            try:
                await self._answer_calls(stream)
            except grpc.aio.AioRpcError as error:
                raise TunnelEnded(f"{error.code().name}: {error.details()}") from None
            finally:
                self.open = False
                stream.cancel()
        raise TunnelEnded("the provider closed it")

    async def _answer_calls(self, stream: Any) -> None:
        headers = list(await stream.initial_metadata() or ())
        server = _CallServer(stream.write, self._handler)
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


class _Running:
    """A call that is open."""

    def __init__(self, frame: ClientToServer) -> None:
        self.method = frame.new_stream.method_name.rpartition("/")[2]
        self.revision = Revision(frame.new_stream.protocol_revision)
        self.request = Incoming(self.revision)
        windowed = self.revision is Revision.ONE
        self.window = SendWindow(frame.new_stream.initial_window_size if windowed else None)
        self.task: asyncio.Task[None] | None = None


class _CallServer:
    """The calls inside of one tunnel."""

    def __init__(self, write: Callable[[ServerToClient], Awaitable[None]], handler: AgentHandler) -> None:
        self._write = write
        self._handler = handler
        self._outgoing: asyncio.Queue[ServerToClient] = asyncio.Queue()
        self._calls: dict[int, _Running] = {}

    def send_settings(self, revisions: Sequence[Revision]) -> None:
        """The first frame of a tunnel that negotiates."""
        settings = Settings(initial_window_size=WINDOW_BYTES)
        settings.supported_protocol_revisions.extend(revision.value for revision in revisions)  # type: ignore[misc]
        self._put(ServerToClient(stream_id=SETTINGS_STREAM, settings=settings))

    async def keep_writing(self) -> None:
        """Write frames until cancelled."""
        while True:
            await self._write(await self._outgoing.get())

    async def cancel_all(self) -> None:
        """The tunnel has ended, and with it every call."""
        tasks = [call.task for call in self._calls.values() if call.task]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def take(self, frame: ClientToServer) -> None:
        """A frame from the provider."""
        number = frame.stream_id
        kind = frame.WhichOneof("frame")
        if kind == "new_stream":
            self._calls[number] = _Running(frame)
            return
        call = self._calls.get(number)
        if call is None:
            return
        match kind:
            case "request_message":
                call.request.begin(frame.request_message.size, frame.request_message.data)
                self._return_window(number, call, len(frame.request_message.data))
            case "more_request_data":
                call.request.more(frame.more_request_data)
                self._return_window(number, call, len(frame.more_request_data))
            case "window_update":
                call.window.add(frame.window_update)
            case "half_close":
                call.task = asyncio.ensure_future(self._answer(number, call))
            case "cancel":
                del self._calls[number]
                if call.task:
                    call.task.cancel()

    async def _answer(self, number: int, call: _Running) -> None:
        try:
            answer = await self._handle(call.method, call.request.message)
        except AgentRefusal as error:
            self._put(ServerToClient(stream_id=number, response_headers=Metadata()))
            self._close(number, WireStatus(code=error.code.value[0], message=error.words))
            return
        self._put(ServerToClient(stream_id=number, response_headers=Metadata()))
        first = True
        async for chunk in chunks(answer, call.window):
            if first:
                opening = MessageData(size=len(answer), data=chunk)
                self._put(ServerToClient(stream_id=number, response_message=opening))
            else:
                self._put(ServerToClient(stream_id=number, more_response_data=chunk))
            first = False
        self._close(number, None)

    def _close(self, number: int, status: WireStatus | None) -> None:
        self._calls.pop(number, None)
        self._put(ServerToClient(stream_id=number, close_stream=CloseStream(status=status)))

    def _return_window(self, number: int, call: _Running, count: int) -> None:
        if count and call.revision is Revision.ONE:
            self._put(ServerToClient(stream_id=number, window_update=count))

    def _put(self, frame: ServerToClient) -> None:
        self._outgoing.put_nowait(frame)

    async def _handle(self, method: str, request: bytes) -> bytes:
        match method:
            case "Hello":
                await self._handler.hello()
                return b""
            case "GetPowerManagement":
                return _power_management(await self._handler.get_power_management()).SerializeToString()
            case "SetPowerManagement":
                wanted = agent_pb2.SetPowerManagementRequest.FromString(request)
                ipmi = IpmiLogin(wanted.ipmi.username, wanted.ipmi.password) if wanted.HasField("ipmi") else None
                await self._handler.set_power_management(ipmi)
                return b""
            case "WipeDisks":
                await self._handler.wipe_disks(agent_pb2.WipeDisksRequest.FromString(request).zeroes)
                return b""
        raise AgentRefusal(grpc.StatusCode.UNIMPLEMENTED, f"no method {method}")


def target_of(address: str) -> str:
    """What to dial for the value of a kernel argument: host:port, with or without http://."""
    return urlsplit(address).netloc if "://" in address else address


def _power_management(ipmi: IpmiAddress | None) -> agent_pb2.GetPowerManagementResponse:
    if ipmi is None:
        return agent_pb2.GetPowerManagementResponse(api=agent_pb2.GetPowerManagementResponse.API())
    return agent_pb2.GetPowerManagementResponse(
        ipmi=agent_pb2.GetPowerManagementResponse.IPMI(address=ipmi.address, port=ipmi.port, user_exists=False)
    )
