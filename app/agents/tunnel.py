"""One reverse tunnel: calls to an agent, over the one stream that the agent has opened to us.

    tunnel = Tunnel(wire, revision, agent_window)
    reason = await tunnel.serve()                       # in one task, until the tunnel ends
    answer = await tunnel.call("/pkg.Service/Method", request, timeout_s=30)    # in any number of others

Guarantees: stream ids rise in the order in which they go out; one task writes; a call that times out or is cancelled
is cancelled at the agent too, and its late frames are ignored; when the tunnel ends every pending call fails at once.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import grpc
from google.protobuf.empty_pb2 import Empty

from app.agents.frames import WINDOW_BYTES, FrameError, Incoming, Revision, SendWindow, chunks
from app.agents.words import clean, code_of
from protos.gen.tunnel.tunnel_pb2 import ClientToServer, MessageData, Metadata, NewStream, ServerToClient

_NO_HEADERS: Final = Metadata()
_EMPTY: Final = Empty()


class CallFailed(Exception):
    """A call did not succeed; `text` is the agent's own, not yet cleaned, or ours."""

    def __init__(self, code: grpc.StatusCode, text: str) -> None:
        super().__init__(f"{code.name}: {clean(text)}")
        self.code = code
        self.text = text


class Wire(Protocol):
    """The stream below a tunnel."""

    async def read(self) -> ServerToClient | None:
        """The agent's next frame; None after the last."""

    async def write(self, frame: ClientToServer) -> None:
        """Send a frame; waits while the connection takes no more."""


@dataclass(slots=True)
class _Call:
    window: SendWindow
    incoming: Incoming
    answer: asyncio.Future[bytes] = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    def fail(self, code: grpc.StatusCode, text: str) -> None:
        if not self.answer.done():
            self.answer.set_exception(CallFailed(code, text))
            self.answer.exception()  # marks it as seen: the caller may just be going away


class Tunnel:
    """The provider's end of a tunnel."""

    def __init__(self, wire: Wire, revision: Revision, agent_window: int = WINDOW_BYTES) -> None:
        self._wire = wire
        self._revision = revision
        self._agent_window = agent_window if revision is Revision.ONE else None
        self._outgoing: asyncio.Queue[ClientToServer] = asyncio.Queue()
        self._calls: dict[int, _Call] = {}
        self._last_stream = 0
        self._end: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    @property
    def open(self) -> bool:
        """Whether calls can be made."""
        return not self._end.done()

    def close(self, reason: str) -> None:
        """End the tunnel: every pending call fails now with this reason."""
        if self._end.done():
            return
        self._end.set_result(reason)
        pending, self._calls = self._calls, {}
        for call in pending.values():
            call.fail(grpc.StatusCode.UNAVAILABLE, f"the tunnel of the agent has ended: {reason}")

    async def serve(self) -> str:
        """Carry frames until the tunnel ends; the answer says why."""
        carriers = [asyncio.ensure_future(self._read()), asyncio.ensure_future(self._write())]
        ends: list[asyncio.Future[Any]] = [*carriers, self._end]
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self.close("the connection was lost")
            for carrier in carriers:
                carrier.cancel()
            await asyncio.gather(*carriers, return_exceptions=True)
        return self._end.result()

    async def call(self, method: str, request: bytes, timeout_s: float) -> bytes:
        """Make a unary call.

        Raises:
            CallFailed: with the agent's status, DEADLINE_EXCEEDED after `timeout_s`, or UNAVAILABLE when the tunnel
                has ended.
        """
        if not self.open:
            raise CallFailed(grpc.StatusCode.UNAVAILABLE, "the tunnel of the agent has ended")
        number, call = self._begin(method)
        sending = asyncio.ensure_future(self._send(number, call, request))
        try:
            async with asyncio.timeout(timeout_s):
                return await call.answer
        except TimeoutError:
            raise CallFailed(grpc.StatusCode.DEADLINE_EXCEEDED, f"no answer within {timeout_s:g} s") from None
        finally:
            sending.cancel()
            self._abandon(number)

    def _begin(self, method: str) -> tuple[int, _Call]:
        self._last_stream += 1
        number = self._last_stream
        call = self._calls[number] = _Call(SendWindow(self._agent_window), Incoming(self._revision))
        opening = NewStream(
            method_name=method,
            request_headers=_NO_HEADERS,
            initial_window_size=WINDOW_BYTES,
            protocol_revision=self._revision.value,  # type: ignore[arg-type]  # the generated enum is a number
        )
        self._put(ClientToServer(stream_id=number, new_stream=opening))
        return number, call

    async def _send(self, number: int, call: _Call, request: bytes) -> None:
        first = True
        async for chunk in chunks(request, call.window):
            if first:
                opening = MessageData(size=len(request), data=chunk)
                self._put(ClientToServer(stream_id=number, request_message=opening))
            else:
                self._put(ClientToServer(stream_id=number, more_request_data=chunk))
            first = False
        self._put(ClientToServer(stream_id=number, half_close=_EMPTY))

    def _abandon(self, number: int) -> None:
        """Forget a call; one that the agent has not ended is cancelled there."""
        if self._calls.pop(number, None) is not None:
            self._put(ClientToServer(stream_id=number, cancel=_EMPTY))

    def _put(self, frame: ClientToServer) -> None:
        if self.open:
            self._outgoing.put_nowait(frame)

    async def _write(self) -> None:
        while True:
            await self._wire.write(await self._outgoing.get())

    async def _read(self) -> None:
        while (frame := await self._wire.read()) is not None:
            try:
                self._take(frame)
            except FrameError as error:
                self.close(f"the agent broke the protocol: {error}")
                return
        self.close("the agent closed it or lost its connection")

    def _take(self, frame: ServerToClient) -> None:
        number = frame.stream_id
        call = self._calls.get(number)
        if call is None:
            if 0 < number <= self._last_stream:
                return  # late: the call is over on our side
            raise FrameError(f"a frame for stream {number}, which was never opened")
        try:
            self._take_for(number, call, frame)
        except FrameError as error:
            call.fail(grpc.StatusCode.RESOURCE_EXHAUSTED, str(error))

    def _take_for(self, number: int, call: _Call, frame: ServerToClient) -> None:
        match frame.WhichOneof("frame"):
            case "response_message":
                call.incoming.begin(frame.response_message.size, frame.response_message.data)
                self._return_window(number, len(frame.response_message.data))
            case "more_response_data":
                call.incoming.more(frame.more_response_data)
                self._return_window(number, len(frame.more_response_data))
            case "window_update":
                call.window.add(frame.window_update)
            case "close_stream":
                del self._calls[number]
                self._finish(call, frame)

    def _return_window(self, number: int, count: int) -> None:
        if count and self._revision is Revision.ONE:
            self._put(ClientToServer(stream_id=number, window_update=count))

    @staticmethod
    def _finish(call: _Call, frame: ServerToClient) -> None:
        status = frame.close_stream.status
        if status.code != 0:
            call.fail(code_of(status.code), status.message)
        elif not call.incoming.complete:
            call.fail(grpc.StatusCode.INTERNAL, "the agent ended the call without its answer")
        elif not call.answer.done():
            call.answer.set_result(call.incoming.message)
