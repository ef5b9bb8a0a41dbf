"""The calls inside of a virtual agent's tunnel: taken from frames, answered by the machine, sent back in frames."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import grpc

from app.agents.frames import SETTINGS_STREAM, WINDOW_BYTES, Incoming, Revision, SendWindow, chunks
from protos.gen.agent import agent_pb2
from protos.gen.tunnel.tunnel_pb2 import ClientToServer, CloseStream, MessageData, Metadata, ServerToClient, Settings
from protos.gen.tunnel.tunnel_pb2 import Status as WireStatus


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


class _Running:
    """A call that is open."""

    def __init__(self, frame: ClientToServer) -> None:
        self.method = frame.new_stream.method_name.rpartition("/")[2]
        self.revision = Revision(frame.new_stream.protocol_revision)
        self.request = Incoming(self.revision)
        windowed = self.revision is Revision.ONE
        self.window = SendWindow(frame.new_stream.initial_window_size if windowed else None)
        self.task: asyncio.Task[None] | None = None


class CallServer:
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


def _power_management(ipmi: IpmiAddress | None) -> agent_pb2.GetPowerManagementResponse:
    if ipmi is None:
        return agent_pb2.GetPowerManagementResponse(api=agent_pb2.GetPowerManagementResponse.API())
    return agent_pb2.GetPowerManagementResponse(
        ipmi=agent_pb2.GetPowerManagementResponse.IPMI(address=ipmi.address, port=ipmi.port, user_exists=False)
    )
