"""Task events in batches: none is lost, whatever happens while a batch is sent."""

import threading
from collections import defaultdict
from types import SimpleNamespace

import pytest

from workers.events import BATCH, BatchedEvents, flush


class Dispatcher:
    def __init__(self):
        self._group_buffer = defaultdict(list)
        self.mutex = threading.Lock()
        self.producer = object()
        self.sent = []
        self.meanwhile = []

    def send(self, event):
        self._group_buffer["task"].append(event)

    def _publish(self, events, producer, routing_key):
        assert producer is self.producer and routing_key == "task.multi"
        self.sent.append(list(events))
        while self.meanwhile:
            self.send(self.meanwhile.pop())


@pytest.fixture
def step():
    made = BatchedEvents(SimpleNamespace())
    yield made
    made.stop(None)


def test_events_that_come_while_a_batch_is_sent_are_sent_next():
    dispatcher = Dispatcher()
    dispatcher.send(1)
    dispatcher.meanwhile = [2]
    flush(dispatcher)
    flush(dispatcher)
    assert dispatcher.sent == [[1], [2]]


def test_many_events_go_out_in_several_messages():
    dispatcher = Dispatcher()
    for number in range(BATCH + 1):
        dispatcher.send(number)
    flush(dispatcher)
    assert [len(batch) for batch in dispatcher.sent] == [BATCH, 1]


def test_nothing_gathered_sends_nothing():
    dispatcher = Dispatcher()
    flush(dispatcher)
    assert dispatcher.sent == []


def test_started_step_sends_what_comes_by_itself(step):
    dispatcher = Dispatcher()
    step.start(SimpleNamespace(event_dispatcher=dispatcher))
    sent = threading.Event()
    dispatcher._publish = lambda *_: sent.set()
    dispatcher.send("succeeded")
    assert sent.wait(5)


def test_task_that_ends_after_a_new_connection_is_told_through_it(step):
    old, new = Dispatcher(), Dispatcher()
    step.start(SimpleNamespace(event_dispatcher=old))
    step.stop(None)
    old.producer = None
    step.start(SimpleNamespace(event_dispatcher=new))
    old.send("succeeded")
    step.stop(None)
    assert ["succeeded"] in new.sent


def test_stop_sends_the_last_events(step):
    dispatcher = Dispatcher()
    step.start(SimpleNamespace(event_dispatcher=dispatcher))
    dispatcher.send("failed")
    step.stop(None)
    assert ["failed"] in dispatcher.sent
