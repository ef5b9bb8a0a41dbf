"""How a queue stands by the signs of its workers, their answers and what waits."""

from types import SimpleNamespace

import fakeredis
import pytest

from app.doctor import queues
from app.doctor.finding import Report, Verdict
from app.state.agents import GATEWAYS
from app.state.connection import now_ms
from app.state.metrics import Queue
from app.state.parts import note_worker


def judged(signs=(), answered=(), waiting=None):
    return queues.queue_findings("bmc", signs, answered, {"bmc": waiting} if waiting else {})


def verdict(findings):
    return Report("queues", tuple(findings)).verdict


def test_worker_that_answers_is_well():
    [finding] = judged(["bmc@h", "wipe@h"], ["bmc@h", "wipe@h"])
    assert (finding.verdict, finding.words) == (Verdict.OK, "bmc: bmc@h, 0 tasks wait")


def test_worker_that_answers_before_its_first_sign_is_well():
    assert verdict(judged([], ["bmc@h"])) is Verdict.OK


def test_queue_without_a_worker_has_failed():
    [finding] = judged(["wipe@h"], ["wipe@h"], Queue(1, 0.1))
    assert (finding.verdict, finding.words) == (Verdict.FAILED, "bmc: no worker, 1 task waits")
    assert "`omni-metal worker bmc`" in finding.remedy


def test_worker_that_lives_and_does_not_answer_has_failed():
    [finding] = judged(["bmc@h"], [])
    assert finding.verdict is Verdict.FAILED
    assert "bmc@h lives but does not answer" in finding.words


def test_one_of_two_workers_that_does_not_answer_is_a_warning():
    found = judged(["bmc@a", "bmc@b"], ["bmc@a"])
    assert verdict(found) is Verdict.WARNING
    assert "bmc@b does not answer" in found[1].words


@pytest.mark.parametrize(
    ("waiting", "expected"),
    [
        (Queue(5, 59.0), Verdict.OK),
        (Queue(5, 300.0), Verdict.WARNING),
        (Queue(5, None), Verdict.OK),
        (Queue(0, 0.0), Verdict.OK),
    ],
)
def test_tasks_that_wait_for_long_are_a_warning(waiting, expected):
    assert verdict(judged(["bmc@h"], ["bmc@h"], waiting)) is expected


def site(process=None):
    return SimpleNamespace(redis=fakeredis.FakeRedis(), run_process=process, just_started=False)


def test_where_nothing_runs_nobody_is_asked(monkeypatch):
    def asked(*_):
        raise AssertionError("nobody is there to answer")

    monkeypatch.setattr(queues, "ping", asked)
    [finding] = queues.look(site())
    assert finding.verdict is Verdict.SKIPPED


def test_where_anything_runs_workers_are_asked(monkeypatch):
    for leave_sign in (
        lambda client: note_worker(client, "wipe", "h"),
        lambda client: client.zadd(GATEWAYS, {"g": now_ms(client)}),
    ):
        where = site()
        leave_sign(where.redis)
        monkeypatch.setattr(queues, "ping", lambda *_: {"bmc@h", "wipe@h"})
        found = queues.look(where)
        assert [finding.verdict for finding in found] == [Verdict.OK, Verdict.FAILED, Verdict.OK]


def test_run_without_any_sign_of_its_processes_has_failed(monkeypatch):
    monkeypatch.setattr(queues, "ping", lambda *_: set())
    assert verdict(queues.look(site(process=77))) is Verdict.FAILED
