"""Each task that has ended is acknowledged, also when Redis is away at that moment."""

import json
from types import SimpleNamespace

import pytest
import redis
from celery.worker import state

from workers import request
from workers.celery_app import app
from workers.enqueue import TASKS
from workers.request import LastingRequest


class Away(Exception):
    pass


class Message:
    """What a worker is given, with a broker that fails so for the first attempts."""

    def __init__(self, refusals=0, error=Away):
        self.error = error
        self.payload = [[], {}, {"callbacks": None, "errbacks": None, "chain": None, "chord": None}]
        self.body = json.dumps(self.payload)
        self.content_type, self.content_encoding = "application/json", "utf-8"
        self.headers = {"id": "1", "task": "wipe"}
        self.delivery_info = {"exchange": "", "routing_key": "wipe"}
        self.properties = {}
        self.channel = SimpleNamespace(closed=False)
        self.refusals = refusals
        self.tries = 0

    def ack(self):
        self.tries += 1
        if self.tries <= self.refusals:
            raise self.error


@pytest.fixture(autouse=True)
def pauses(monkeypatch):
    slept = []
    monkeypatch.setattr(request.time, "sleep", slept.append)
    monkeypatch.setattr(state, "should_stop", None)
    return slept


def asked(message):
    return LastingRequest(message, app=app, connection_errors=(Away,))


def test_each_task_of_ours_is_acknowledged_so():
    assert {task.Request for task in TASKS.values()} == {"workers.request:LastingRequest"}


def test_answered_at_once(pauses):
    message = Message()
    asked(message).acknowledge()
    assert message.tries == 1
    assert pauses == []


@pytest.mark.parametrize("error", [Away, redis.ResponseError("MISCONF"), redis.ReadOnlyError("a replica")])
def test_redis_away_or_full_it_is_tried_until_it_takes_it(pauses, error):
    message = Message(refusals=3, error=error)
    one = asked(message)
    one.acknowledge()
    one.acknowledge()
    assert message.tries == 4
    assert pauses == [request.AGAIN_S] * 3


@pytest.mark.parametrize("channel", [None, SimpleNamespace(closed=True)])
def test_connection_made_anew_hands_it_out_again_by_itself(channel):
    message = Message()
    message.channel = channel
    asked(message).acknowledge()
    assert message.tries == 0


def test_worker_that_is_to_stop_does_not_wait(monkeypatch, pauses):
    monkeypatch.setattr(state, "should_stop", 0)
    message = Message(refusals=3)
    asked(message).acknowledge()
    assert message.tries == 1
    assert pauses == []


def test_error_that_is_no_lost_connection_is_told():
    message = Message()
    message.ack = lambda: 1 / 0
    with pytest.raises(ZeroDivisionError):
        asked(message).acknowledge()
