import asyncio
from dataclasses import replace

import pytest

from app.agents.errors import AgentFailed, AgentGone
from app.agents.wipes import KEEP_S, WipeBook, WipeTicket

ID = "m1"
TICKET = WipeTicket("w1", 3, "token", "7")


class Disks:
    """A wipe that ends when told to."""

    def __init__(self):
        self.begun = 0
        self.end = asyncio.get_running_loop().create_future()

    async def wipe(self):
        self.begun += 1
        await asyncio.shield(self.end)

    def again(self):
        self.end = asyncio.get_running_loop().create_future()


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


def run(story):
    async def whole():
        clock = Clock()
        await asyncio.wait_for(story(WipeBook(clock), Disks(), clock), 5)

    asyncio.run(whole())


async def soon():
    for _ in range(5):
        await asyncio.sleep(0)


def test_second_request_joins_and_gets_the_ticket_of_the_beginning():
    async def story(book, disks, _clock):
        first = asyncio.ensure_future(book.wipe(ID, TICKET, disks.wipe))
        await soon()
        second = asyncio.ensure_future(book.wipe(ID, replace(TICKET, wipe_id="w2"), disks.wipe))
        await soon()
        assert book.running(ID)
        disks.end.set_result(None)
        assert (await first, await second, disks.begun) == (TICKET, TICKET, 1)
        assert not book.running(ID)

    run(story)


def test_caller_that_goes_away_does_not_end_the_wipe():
    async def story(book, disks, _clock):
        caller = asyncio.ensure_future(book.wipe(ID, TICKET, disks.wipe))
        await soon()
        caller.cancel()
        await soon()
        assert caller.cancelled()
        assert book.running(ID)
        disks.end.set_result(None)
        await soon()
        assert await book.wipe(ID, TICKET, disks.wipe) == TICKET
        assert disks.begun == 1

    run(story)


@pytest.mark.parametrize(
    "other",
    [
        replace(TICKET, wipe_id="w2"),
        replace(TICKET, install_event_id=4),
        replace(TICKET, node_unique_token="x"),
        replace(TICKET, wipe_status_version="8"),
        replace(TICKET, wipe_status_version=""),
    ],
)
def test_kept_success_answers_only_an_equal_request(other):
    async def story(book, disks, _clock):
        disks.end.set_result(None)
        await book.wipe(ID, TICKET, disks.wipe)
        await book.wipe(ID, TICKET, disks.wipe)
        assert disks.begun == 1
        assert await book.wipe(ID, other, disks.wipe) == other
        assert disks.begun == 2
        await book.wipe(ID, TICKET, disks.wipe)
        assert disks.begun == 3

    run(story)


def test_success_of_one_machine_is_not_that_of_another():
    async def story(book, disks, _clock):
        disks.end.set_result(None)
        await book.wipe(ID, TICKET, disks.wipe)
        await book.wipe("m2", TICKET, disks.wipe)
        assert disks.begun == 2

    run(story)


def test_success_is_kept_for_an_hour():
    async def story(book, disks, clock):
        disks.end.set_result(None)
        await book.wipe(ID, TICKET, disks.wipe)
        clock.now += KEEP_S - 1
        await book.wipe(ID, TICKET, disks.wipe)
        assert disks.begun == 1
        clock.now += 1
        await book.wipe(ID, TICKET, disks.wipe)
        assert disks.begun == 2

    run(story)


def test_failure_is_told_to_all_who_wait_and_dropped():
    async def story(book, disks, _clock):
        waiting = [asyncio.ensure_future(book.wipe(ID, TICKET, disks.wipe)) for _ in range(3)]
        await soon()
        disks.end.set_exception(AgentFailed("disk broken"))
        for answer in await asyncio.gather(*waiting, return_exceptions=True):
            assert isinstance(answer, AgentFailed)
        assert not book.running(ID)
        disks.again()
        disks.end.set_result(None)
        await book.wipe(ID, TICKET, disks.wipe)
        assert disks.begun == 2

    run(story)


def test_failure_after_all_callers_have_gone_is_quiet(caplog):
    async def story(book, disks, _clock):
        caller = asyncio.ensure_future(book.wipe(ID, TICKET, disks.wipe))
        await soon()
        caller.cancel()
        await soon()
        disks.end.set_exception(AgentFailed("x"))
        await soon()
        assert not book.running(ID)

    run(story)
    assert not caplog.records


def test_stopping_book_waits_for_what_runs_and_begins_nothing():
    async def story(book, disks, _clock):
        running = asyncio.ensure_future(book.wipe(ID, TICKET, disks.wipe))
        await soon()
        stopping = asyncio.ensure_future(book.stop(limit_s=5))
        await soon()
        with pytest.raises(AgentGone):
            await book.wipe("m2", TICKET, disks.wipe)
        assert not stopping.done()
        disks.end.set_result(None)
        await stopping
        assert await running == TICKET

    run(story)
