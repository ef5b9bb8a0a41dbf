import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.agents.frames import (
    CHUNK_BYTES,
    LARGEST_MESSAGE_BYTES,
    WINDOW_BYTES,
    FrameError,
    Incoming,
    Revision,
    SendWindow,
    agreed,
    chunks,
)


def pieces(message, window):
    async def collect():
        return [piece async for piece in chunks(message, window)]

    return asyncio.run(asyncio.wait_for(collect(), 5))


@given(st.binary(max_size=3 * CHUNK_BYTES), st.integers(min_value=3 * CHUNK_BYTES))
def test_message_within_the_window_is_cut_into_chunks_and_put_together_again(message, size):
    sent = pieces(message, SendWindow(size))
    incoming = Incoming(Revision.ONE)
    incoming.begin(len(message), sent[0])
    for piece in sent[1:]:
        assert not incoming.complete
        incoming.more(piece)
    assert incoming.complete
    assert incoming.message == message
    assert all(len(piece) <= CHUNK_BYTES for piece in sent)


def test_without_flow_control_there_is_no_limit():
    assert sum(map(len, pieces(b"x" * 1_000_000, SendWindow(None)))) == 1_000_000


def test_empty_message_is_one_empty_chunk():
    assert pieces(b"", SendWindow(10)) == [b""]


@pytest.mark.parametrize("message", [b"", b"x"])
def test_closed_window_holds_even_an_empty_message_back_until_it_opens(message):
    async def story():
        window = SendWindow(0)
        waiting = asyncio.ensure_future(anext(chunks(message, window)))
        await asyncio.sleep(0.01)
        assert not waiting.done()
        window.add(5)
        assert await asyncio.wait_for(waiting, 1) == message

    asyncio.run(story())


def test_sender_never_has_more_on_the_way_than_the_window():
    async def story():
        window, on_the_way, most = SendWindow(1000), 0, 0
        async for piece in chunks(b"x" * 10_000, window):
            on_the_way += len(piece)
            most = max(most, on_the_way)
            if on_the_way >= 600:
                window.add(on_the_way)
                on_the_way = 0
        return most

    assert asyncio.run(story()) <= 1000


def test_highest_common_revision_is_agreed_on():
    assert agreed([0]) is Revision.ZERO
    assert agreed([1, 0, 7]) is Revision.ONE
    for offered in ([], [7]):
        with pytest.raises(FrameError):
            agreed(offered)


def misdeeds():
    def second_message(incoming):
        incoming.begin(1, b"a")
        incoming.begin(1, b"b")

    def too_much_data(incoming):
        incoming.begin(2, b"abc")

    def data_without_message(incoming):
        incoming.more(b"a")

    def data_after_the_end(incoming):
        incoming.begin(1, b"a")
        incoming.more(b"")

    def giant(incoming):
        incoming.begin(LARGEST_MESSAGE_BYTES + 1, b"")

    def beyond_the_window(incoming):
        incoming.begin(WINDOW_BYTES + 1, bytes(WINDOW_BYTES + 1))

    return [second_message, too_much_data, data_without_message, data_after_the_end, giant, beyond_the_window]


@pytest.mark.parametrize("misdeed", misdeeds())
def test_broken_message_is_refused(misdeed):
    with pytest.raises(FrameError):
        misdeed(Incoming(Revision.ONE))
