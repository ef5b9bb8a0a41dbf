import asyncio

import grpc
import pytest

from app.agents.frames import CHUNK_BYTES, WINDOW_BYTES, Revision
from app.agents.tunnel import CallFailed, Tunnel
from protos.gen.tunnel.tunnel_pb2 import CloseStream, MessageData, Metadata, ServerToClient, Status


class Wire:
    """The stream below a tunnel, played by the test."""

    def __init__(self):
        self.to_read = asyncio.Queue()
        self.written = asyncio.Queue()

    async def read(self):
        return await self.to_read.get()

    async def write(self, frame):
        await self.written.put(frame)

    async def expect(self, kind):
        frame = await asyncio.wait_for(self.written.get(), 2)
        assert frame.WhichOneof("frame") == kind, frame
        return frame

    def say(self, number, **frame):
        self.to_read.put_nowait(ServerToClient(stream_id=number, **frame))

    def answer(self, number, data=b""):
        self.say(number, response_headers=Metadata())
        self.say(number, response_message=MessageData(size=len(data), data=data))
        self.say(number, close_stream=CloseStream())


def run(story, revision=Revision.ONE, window=WINDOW_BYTES):
    async def whole():
        wire = Wire()
        tunnel = Tunnel(wire, revision, window)
        serving = asyncio.ensure_future(tunnel.serve())
        try:
            await asyncio.wait_for(story(tunnel, wire), 5)
        finally:
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)

    asyncio.run(whole())


def call(tunnel, request=b"", timeout_s=5):
    return asyncio.ensure_future(tunnel.call("/a.B/C", request, timeout_s))


async def begun(tunnel, request=b""):
    """A call whose stream is open; in a list, so that it is not awaited here."""
    answer = call(tunnel, request)
    await asyncio.sleep(0)
    return [answer]


async def failed(future, code):
    with pytest.raises(CallFailed) as caught:
        await future
    assert caught.value.code is code
    return caught.value


def test_unary_call_is_four_frames_and_its_answer():
    async def story(tunnel, wire):
        answer = call(tunnel, b"ask")
        opening = await wire.expect("new_stream")
        assert (opening.stream_id, opening.new_stream.method_name) == (1, "/a.B/C")
        assert opening.new_stream.initial_window_size == WINDOW_BYTES
        assert opening.new_stream.protocol_revision == 1
        message = (await wire.expect("request_message")).request_message
        assert (message.size, message.data) == (3, b"ask")
        await wire.expect("half_close")
        wire.answer(1, b"yes")
        assert await answer == b"yes"
        assert (await wire.expect("window_update")).window_update == 3
        assert wire.written.empty()

    run(story)


def test_empty_answer_is_an_answer():
    async def story(tunnel, wire):
        [answer] = await begun(tunnel)
        wire.answer(1)
        assert await answer == b""

    run(story)


def test_stream_ids_rise_in_the_order_of_the_frames():
    async def story(tunnel, wire):
        answers = [call(tunnel) for _ in range(20)]
        await asyncio.sleep(0)
        seen = []
        while len(seen) < 20:
            frame = await asyncio.wait_for(wire.written.get(), 1)
            if frame.WhichOneof("frame") == "new_stream":
                seen.append(frame.stream_id)
        assert seen == sorted(set(seen))
        for number in reversed(seen):
            wire.answer(number, str(number).encode())
        assert [int(data) for data in await asyncio.gather(*answers)] == seen

    run(story)


def test_request_waits_for_the_agents_window():
    async def story(tunnel, wire):
        answer = call(tunnel, b"x" * 25_000)
        await wire.expect("new_stream")
        assert len((await wire.expect("request_message")).request_message.data) == CHUNK_BYTES
        assert len((await wire.expect("more_request_data")).more_request_data) == 20_000 - CHUNK_BYTES
        await asyncio.sleep(0.01)
        assert wire.written.empty()
        wire.say(1, window_update=5_000)
        assert len((await wire.expect("more_request_data")).more_request_data) == 5_000
        await wire.expect("half_close")
        wire.answer(1)
        await answer

    run(story, window=20_000)


def test_revision_zero_sends_no_window_updates_and_waits_for_none():
    async def story(tunnel, wire):
        answer = call(tunnel, b"x" * 200_000)
        assert (await wire.expect("new_stream")).new_stream.protocol_revision == 0
        wire.answer(1, b"yes")
        assert await answer == b"yes"
        kinds = {wire.written.get_nowait().WhichOneof("frame") for _ in range(wire.written.qsize())}
        assert kinds <= {"request_message", "more_request_data", "half_close"}

    run(story, Revision.ZERO)


def test_status_of_the_agent_is_raised():
    async def story(tunnel, wire):
        [answer] = await begun(tunnel)
        wire.say(1, response_headers=Metadata())
        wire.say(1, close_stream=CloseStream(status=Status(code=9, message="in use")))
        error = await failed(answer, grpc.StatusCode.FAILED_PRECONDITION)
        assert error.text == "in use"

    run(story)


def test_agent_that_ends_a_call_early_stops_a_request_that_waits():
    async def story(tunnel, wire):
        [answer] = await begun(tunnel, b"x" * 25_000)
        wire.say(1, close_stream=CloseStream(status=Status(code=8, message="too large")))
        await failed(answer, grpc.StatusCode.RESOURCE_EXHAUSTED)
        wire.say(1, window_update=20_000)
        await asyncio.sleep(0.01)
        assert tunnel.open
        assert [f for f in wire.written._queue if f.WhichOneof("frame") == "half_close"] == []

    run(story, window=10_000)


@pytest.mark.parametrize("status", [None, Status(code=0)])
def test_success_without_an_answer_is_an_error(status):
    async def story(tunnel, wire):
        [answer] = await begun(tunnel)
        wire.say(1, close_stream=CloseStream(status=status))
        await failed(answer, grpc.StatusCode.INTERNAL)

    run(story)


def test_call_past_its_limit_is_cancelled_and_late_frames_are_ignored():
    async def story(tunnel, wire):
        await failed(call(tunnel, timeout_s=0.02), grpc.StatusCode.DEADLINE_EXCEEDED)
        for kind in ("new_stream", "request_message", "half_close", "cancel"):
            await wire.expect(kind)
        wire.answer(1, b"late")
        [again] = await begun(tunnel)
        wire.answer(2, b"now")
        assert await again == b"now"

    run(story)


def test_cancelled_caller_cancels_the_call():
    async def story(tunnel, wire):
        caller = call(tunnel)
        await wire.expect("new_stream")
        caller.cancel()
        await wire.expect("request_message")
        await wire.expect("half_close")
        await wire.expect("cancel")
        wire.say(1, close_stream=CloseStream(status=Status(code=2, message="context canceled")))
        await asyncio.sleep(0.01)
        assert tunnel.open

    run(story)


@pytest.mark.parametrize("number", [5, 0, -1])
def test_frame_for_a_stream_that_was_never_opened_ends_the_tunnel(number):
    async def story(tunnel, wire):
        answer = call(tunnel)
        await wire.expect("new_stream")
        wire.say(number, response_headers=Metadata())
        error = await failed(answer, grpc.StatusCode.UNAVAILABLE)
        assert "never opened" in error.text
        assert not tunnel.open

    run(story)


def test_agent_beyond_its_window_loses_the_call_and_not_the_tunnel():
    async def story(tunnel, wire):
        answer = call(tunnel)
        await wire.expect("new_stream")
        wire.say(1, response_message=MessageData(size=100_000, data=bytes(WINDOW_BYTES + 1)))
        await failed(answer, grpc.StatusCode.RESOURCE_EXHAUSTED)
        assert tunnel.open
        await wire.expect("request_message")
        await wire.expect("half_close")
        await wire.expect("cancel")

    run(story)


def test_lost_tunnel_fails_every_pending_call_at_once():
    async def story(tunnel, wire):
        answers = [call(tunnel) for _ in range(3)]
        await wire.expect("new_stream")
        wire.to_read.put_nowait(None)
        for answer in answers:
            await failed(answer, grpc.StatusCode.UNAVAILABLE)
        await failed(call(tunnel), grpc.StatusCode.UNAVAILABLE)

    run(story)


def test_closed_tunnel_says_why():
    async def story():
        tunnel = Tunnel(Wire(), Revision.ONE)
        serving = asyncio.ensure_future(tunnel.serve())
        await asyncio.sleep(0)
        tunnel.close("a newer one")
        tunnel.close("again")
        assert await serving == "a newer one"

    asyncio.run(story())


def test_writer_that_fails_ends_the_tunnel():
    class Broken(Wire):
        async def write(self, frame):
            raise ConnectionError

    async def story():
        tunnel = Tunnel(Broken(), Revision.ONE)
        serving = asyncio.ensure_future(tunnel.serve())
        await failed(call(tunnel), grpc.StatusCode.UNAVAILABLE)
        await serving

    asyncio.run(story())
