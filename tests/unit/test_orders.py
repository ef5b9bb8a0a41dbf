import json
import threading
import time

import fakeredis
import pytest
import redis

from app import orders
from app.machine.verbs import Verb
from app.state.history import History, HistoryEntry
from app.state.lease import Leases
from app.state.parts import note_worker
from config.settings import Settings
from workers.enqueue import OrderResult, QueueUnavailable

MACHINE = "6d657461-6c00-4000-8000-000000000001"
OTHER = "6d657461-6c00-4000-8000-000000000002"
ALONE = "4c4c4544-0042-3510-8051-b4c04f573332"
TASK = "task-1"
SENT = OrderResult(("wipe",), "", (TASK,))


class Mirror:
    def __init__(self, *_):
        pass

    def machine_ids(self):
        return [OTHER, MACHINE, ALONE]


@pytest.fixture
def client(monkeypatch):
    fake = fakeredis.FakeRedis()
    monkeypatch.setattr(orders, "connect", lambda _: fake)
    monkeypatch.setattr(orders, "Mirror", Mirror)
    monkeypatch.setattr(orders, "LOOK_S", 0.005)
    return fake


@pytest.fixture
def settings(client, tmp_path):
    return Settings(state_dir=tmp_path / "state", redis_url="redis://:sesame@redis.test/0")


@pytest.fixture
def ordered(monkeypatch):
    """The orders that were given; all are taken."""
    given = []

    def take(_settings, _client, machine_id, verb, by):
        given.append((machine_id, verb, by))
        return SENT

    monkeypatch.setattr(orders, "order", take)
    return given


def ends(client, outcome, words, after_s=0.0, task_id=TASK):
    """The task ends so, and stands in the history."""
    entry = HistoryEntry("wipe", "x", task_id, 1, 2, outcome, words, 1)
    threading.Timer(after_s, History(client).add, (MACHINE, entry)).start()


@pytest.mark.parametrize("text", [MACHINE, MACHINE.upper()])
def test_order_names_the_machine_the_verb_and_who_asks(settings, ordered, capsys, text):
    assert orders.give(settings, text, Verb.WIPE, 0) == 0
    assert ordered == [(MACHINE, Verb.WIPE, "command line")]
    assert capsys.readouterr().out == "started: wipe\n"


@pytest.mark.parametrize("text", ["4c4c", "4C4C45", ALONE[:-1]])
def test_beginning_that_no_other_id_has_names_the_machine(settings, ordered, text):
    assert orders.give(settings, text, Verb.RETRY, 0) == 0
    assert ordered[0][0] == ALONE


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("nope", "there is no machine nope; see omni-metal machines"),
        (ALONE + "0", "there is no machine"),
        ("4c4", "'4c4' is too short"),
        ("", "'' is too short"),
        ("6d65", f"6d65 is the beginning of 2 machines, name one of them:\n  {MACHINE}\n  {OTHER}"),
    ],
)
def test_text_that_names_no_one_machine_orders_nothing(settings, ordered, capsys, text, said):
    assert orders.give(settings, text, Verb.WIPE, 1) == 1
    assert said in capsys.readouterr().err
    assert ordered == []


def test_refused_order_says_why_with_status_1(settings, monkeypatch, capsys):
    monkeypatch.setattr(orders, "order", lambda *_: OrderResult((), "Omni does not want it wiped."))
    assert orders.give(settings, MACHINE, Verb.WIPE, 5) == 1
    assert "nothing was started: Omni does not want it wiped." in capsys.readouterr().err


def test_retry_that_has_the_bmc_asked_again_says_so_with_status_0(settings, monkeypatch, capsys):
    monkeypatch.setattr(orders, "order", lambda *_: OrderResult((), "its BMC is asked again", asks_again=True))
    assert orders.give(settings, MACHINE, Verb.RETRY, 5) == 0
    said = capsys.readouterr()
    assert (said.out, said.err) == ("its BMC is asked again\n", "")


def test_end_of_the_task_is_waited_for_and_told(settings, client, ordered, capsys):
    ends(client, "done", "another one", task_id="task-0")
    ends(client, "done", "wiped all disks", after_s=0.05)
    assert orders.give(settings, MACHINE, Verb.WIPE, 5) == 0
    assert capsys.readouterr().out == "started: wipe\ndone: wiped all disks\n"


@pytest.mark.parametrize(
    ("outcome", "said"),
    [("failed", "wipe failed: the disk is broken"), ("skipped", "wipe was skipped: the disk is broken")],
)
@pytest.mark.usefixtures("ordered")
def test_task_that_did_nothing_good_is_told_with_status_1(settings, client, capsys, outcome, said):
    ends(client, outcome, "the disk is broken")
    assert orders.give(settings, MACHINE, Verb.WIPE, 5) == 1
    assert said in capsys.readouterr().err


def test_task_that_still_runs_is_said_with_status_0(settings, client, ordered, capsys):
    Leases(client).take(MACHINE, "wipe", TASK)
    assert orders.give(settings, MACHINE, Verb.WIPE, 0.02) == 0
    assert "wipe runs; see omni-metal machines" in capsys.readouterr().out


@pytest.mark.parametrize("held", [False, True])
def test_task_that_no_worker_has_begun_is_said_with_status_1(settings, client, ordered, capsys, held):
    if held:
        Leases(client).take(MACHINE, "reboot", "another task")
    assert orders.give(settings, MACHINE, Verb.WIPE, 0.02) == 1
    said = capsys.readouterr().err
    assert "no worker has begun wipe within 0.02 s" in said and "start `omni-metal worker wipe`" in said


def test_order_waits_behind_others_of_a_worker_that_there_is(settings, client, ordered, capsys):
    note_worker(client, "wipe", "host")
    assert orders.give(settings, MACHINE, Verb.WIPE, 0.02) == 1
    assert "start `omni-metal worker" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("kept", "expected"),
    [
        ({"status": "SUCCESS", "result": "skipped: Redis does not answer"}, (1, "skipped: Redis does not answer")),
        ({"status": "SUCCESS", "result": "powered on"}, (0, "done: powered on")),
        ({"status": "FAILURE", "result": {"exc_message": ["no settings"]}}, (1, "wipe failed: no settings")),
        ({"status": "FAILURE", "result": {"exc_message": "no settings"}}, (1, "wipe failed: no settings")),
        ({"status": "REVOKED", "result": {"exc_message": ["terminated"]}}, (1, "wipe failed: terminated")),
    ],
)
@pytest.mark.usefixtures("ordered")
def test_end_that_only_celery_knows_is_told(settings, client, capsys, kept, expected):
    client.set(f"celery-task-meta-{TASK}", json.dumps(kept))
    status, said = expected
    assert orders.give(settings, MACHINE, Verb.WIPE, 5) == status
    assert said in "".join(capsys.readouterr())


def test_task_that_celery_calls_begun_is_waited_for(settings, client, ordered):
    client.set(f"celery-task-meta-{TASK}", json.dumps({"status": "STARTED", "result": {"pid": 1}}))
    began = time.monotonic()
    ends(client, "done", "wiped", after_s=0.1)
    assert orders.give(settings, MACHINE, Verb.WIPE, 5) == 0
    assert 0.1 <= time.monotonic() - began < 4


def test_unreachable_redis_is_said_without_its_password_and_makes_no_state_dir(settings, monkeypatch, capsys):
    def refuse(_client):
        raise redis.ConnectionError("Error 111 connecting to redis.test")

    monkeypatch.setattr(fakeredis.FakeRedis, "ping", refuse)
    assert orders.give(settings, MACHINE, Verb.WIPE, 5) == 1
    said = capsys.readouterr().err
    assert "Redis at redis://redis.test/0 does not answer" in said
    assert "sesame" not in said
    assert not settings.state_dir.exists()


def test_queue_that_cannot_be_reached_is_said(settings, monkeypatch, capsys):
    def refuse(*_):
        raise QueueUnavailable("cannot send wipe")

    monkeypatch.setattr(orders, "order", refuse)
    assert orders.give(settings, MACHINE, Verb.WIPE, 5) == 1
    assert "does not answer (cannot send wipe)" in capsys.readouterr().err
