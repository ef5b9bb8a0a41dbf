"""Which parts are down, by the signs that they leave."""

import fakeredis
import pytest

from app.state import parts
from app.state.agents import GATEWAYS
from app.state.connection import now_ms
from app.state.health import WatcherHealth, note_tls, note_watcher
from app.state.parts import WORKER_MS, WORKERS, note_factory, note_worker, parts_down

QUEUES = ("bmc", "wipe")


@pytest.fixture
def store():
    made = fakeredis.FakeRedis()
    made.zadd(GATEWAYS, {"g1": now_ms(made)})
    return made


def test_nothing_has_left_a_sign_everything_is_down():
    down = parts_down(fakeredis.FakeRedis(), QUEUES)
    assert [words.split(":")[0] for words in down] == [
        "no worker for the queue bmc",
        "no worker for the queue wipe",
        "no gateway",
    ]


def test_all_parts_live_nothing_is_said(store):
    for queue in QUEUES:
        note_worker(store, queue, "h1")
    assert parts_down(store, QUEUES) == []


def test_one_of_two_workers_of_a_queue_is_enough_and_one_that_went_silent_is_none(store):
    note_worker(store, "wipe", "h1")
    for host in ("h1", "h2"):
        note_worker(store, "bmc", host)
    store.zadd(WORKERS, {"bmc@h1": now_ms(store) - WORKER_MS - 1, "wipe@h1": now_ms(store) - WORKER_MS - 1})
    assert parts_down(store, QUEUES) == ["no worker for the queue wipe: start `omni-metal worker wipe`"]


def test_factory_that_failed_is_told_until_it_answers(store):
    for queue in QUEUES:
        note_worker(store, queue, "h1")
    note_factory(store, "the image factory does not answer")
    assert parts_down(store, QUEUES) == ["the image factory does not answer"]
    note_factory(store, "")
    assert parts_down(store, QUEUES) == []


def test_tls_that_cannot_be_had_is_told_by_whoever_serves_it_and_by_the_watcher(store):
    for queue in QUEUES:
        note_worker(store, queue, "h1")
    note_tls(store, "h1", "the certificate has expired")
    note_tls(store, "h2", "")
    assert parts_down(store, QUEUES) == ["TLS: the certificate has expired"]
    note_watcher(store, WatcherHealth(omni_connected=True, problem="", tls_problem="the CA has expired"))
    assert parts_down(store, QUEUES) == ["TLS: the CA has expired"]
    note_watcher(store, WatcherHealth(omni_connected=True, problem=""))
    note_tls(store, "h1", "")
    assert parts_down(store, QUEUES) == []


def test_worker_that_is_gone_for_a_day_is_forgotten(store):
    store.zadd(WORKERS, {"bmc@gone": now_ms(store) - parts._FORGET_WORKER_MS - 1})
    note_worker(store, "bmc", "h1")
    assert store.zrange(WORKERS, 0, -1) == [b"bmc@h1"]
