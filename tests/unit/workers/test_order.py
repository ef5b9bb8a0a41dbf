"""Orders by hand: what is sent, what is refused and in which words, and what is forgotten."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import pytest
import redis
from kombu.exceptions import OperationalError

from app.machine.model import OperationName
from app.machine.verbs import OPERATIONS, Verb
from app.omni.kinds import Kind
from app.state.attempts import Attempt
from app.state.connection import now_ms
from app.state.power_turns import PowerTurns
from app.state.secrets import sealer
from app.state.wake import ALARMS
from tests.unit.refusals import note_refused
from tests.unit.workers.conftest import MACHINE, Bottle
from workers import enqueue
from workers.celery_app import app
from workers.enqueue import TASKS, OrderResult, QueueUnavailable, order


@dataclass
class Sent:
    """What was sent instead of being run."""

    tasks: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    error: Exception | None = None


@dataclass
class FakeTask:
    name: str
    sent: Sent

    def apply_async(self, kwargs: dict[str, Any], retry: bool, headers: dict[str, int], **_: object) -> Any:
        if self.sent.error:
            raise self.sent.error
        self.sent.tasks.append((self.name, kwargs))
        return type("Result", (), {"id": f"task-{len(self.sent.tasks)}"})


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> Sent:
    found = Sent()
    monkeypatch.setattr(enqueue, "use_queue", lambda _: None)
    monkeypatch.setattr(enqueue, "TASKS", {name: FakeTask(name.value, found) for name in TASKS})
    return found


def ordered(bottle: Bottle, verb: Verb, **options: Any) -> OrderResult:
    return order(replace(bottle.services.settings, **options), bottle.services.redis, MACHINE, verb, "test")


def wipe_due(bottle: Bottle) -> None:
    bottle.accepted(wipe_id="w2")
    bottle.agent()
    bottle.services.power_notes.observed({MACHINE: bottle.bmc.power_state()})


def failed(bottle: Bottle, operation: str) -> None:
    bottle.services.attempts.store(MACHINE, Attempt(operation, "x", 5, 0, True, "E", "why", 1))


def lost(bottle: Bottle, **fields: Any) -> None:
    bottle.accepted(wipe_id="w1", **fields)
    bottle.give(Kind.INFRA_MACHINE_STATUS, ready_to_use=True, wiped_node_unique_token="token")


def test_order_of_what_is_due_sends_its_task_as_by_hand(bottle: Bottle, sent: Sent) -> None:
    wipe_due(bottle)
    assert ordered(bottle, Verb.WIPE) == OrderResult(("wipe",), "", ("task-1",))
    assert sent.tasks == [("wipe", {"machine_id": MACHINE})]
    assert not bottle.services.leases.mark_queued(MACHINE, "reboot")


@pytest.mark.parametrize("verb", [Verb.REBOOT, Verb.POWER_ON, Verb.POWER_OFF, Verb.ADOPT_RECORD, Verb.WIPE_RECORD])
def test_order_of_what_is_not_due_sends_nothing_and_forgets_nothing(bottle: Bottle, sent: Sent, verb: Verb) -> None:
    wipe_due(bottle)
    failed(bottle, OPERATIONS[verb].value)
    result = ordered(bottle, verb)
    assert result.started == result.task_ids == ()
    assert result.skipped.endswith(".")
    assert sent.tasks == []
    assert bottle.attempts()


def test_order_forgets_the_failed_attempts_at_it_alone(bottle: Bottle, sent: Sent) -> None:
    wipe_due(bottle)
    failed(bottle, "wipe")
    failed(bottle, "pxe_arm")
    ordered(bottle, Verb.WIPE)
    assert set(bottle.attempts()) == {"pxe_arm"}


def test_order_leaves_it_to_its_task_to_ask_a_bmc_again_that_refused_its_login(bottle: Bottle, sent: Sent) -> None:
    """Else the sweep might ask before the task does, and one order would cost two refused logins."""
    wipe_due(bottle)
    login = bottle.services.mirror.load(MACHINE).bmc_configuration
    assert login is not None
    note_refused(bottle.services.redis, sealer(bottle.services.settings), MACHINE, login)
    assert ordered(bottle, Verb.POWER_ON).skipped
    assert bottle.services.logins.login_refused(MACHINE, login)
    assert ordered(bottle, Verb.PXE_ARM).started == ("pxe_arm",)
    assert bottle.services.logins.login_refused(MACHINE, login)
    assert ordered(bottle, Verb.RETRY).started
    assert bottle.services.logins.login_refused(MACHINE, login)


def test_retry_sends_what_is_due_first_and_forgets_all_failed_attempts(bottle: Bottle, sent: Sent) -> None:
    wipe_due(bottle)
    failed(bottle, "wipe")
    failed(bottle, "power_on")
    result = ordered(bottle, Verb.RETRY)
    assert result.started == ("wipe",)
    assert bottle.attempts() == {}


def test_retry_with_nothing_due_says_why(bottle: Bottle, sent: Sent) -> None:
    bottle.accepted()
    bottle.wiped()
    bottle.bmc.on = False
    bottle.services.power_notes.observed({MACHINE: bottle.bmc.power_state()})
    result = ordered(bottle, Verb.RETRY)
    assert result.started == ()
    assert result.skipped.startswith("Nothing is due. ")
    assert sent.tasks == []


def test_retry_of_a_machine_whose_power_cannot_be_read_has_its_bmc_asked_again(bottle: Bottle, sent: Sent) -> None:
    bottle.accepted(cluster_talos_version="1.13.7", install_event_id=1)
    bottle.wiped()
    login = bottle.services.mirror.load(MACHINE).bmc_configuration
    assert login is not None
    note_refused(bottle.services.redis, sealer(bottle.services.settings), MACHINE, login)
    result = ordered(bottle, Verb.RETRY)
    assert result.skipped == "its BMC is asked again with the next power sweep"
    assert not bottle.services.logins.login_refused(MACHINE, login)


def test_order_while_an_operation_runs_is_skipped_and_says_which(bottle: Bottle, sent: Sent) -> None:
    wipe_due(bottle)
    bottle.services.leases.take(MACHINE, "configure_bmc", "other")
    assert ordered(bottle, Verb.WIPE) == OrderResult((), "configure_bmc runs now")
    assert sent.tasks == []


def test_order_while_the_mirror_is_not_complete_is_skipped(bottle: Bottle, sent: Sent) -> None:
    wipe_due(bottle)
    bottle.services.redis.delete("om:mirror:watched")
    assert "not complete" in ordered(bottle, Verb.WIPE).skipped
    assert sent.tasks == []


def test_order_takes_the_place_of_a_queued_task_that_may_be_lost(bottle: Bottle, sent: Sent) -> None:
    wipe_due(bottle)
    assert bottle.services.leases.mark_queued(MACHINE, "wipe")
    assert ordered(bottle, Verb.WIPE).started == ("wipe",)


def test_order_of_a_wipe_beyond_the_limit_is_skipped(bottle: Bottle, sent: Sent) -> None:
    wipe_due(bottle)
    other = "4c4c4544-0042-3510-8051-000000000000"
    bottle.services.leases.take(other, "wipe", "t")
    bottle.services.redis.sadd("om:wipe-slots", other)
    assert "as many wipes run as may" in ordered(bottle, Verb.WIPE, max_concurrent_wipes=1).skipped
    assert sent.tasks == []


def test_order_of_a_power_on_before_its_turn_says_when_it_comes_and_the_watcher_sends_it_then(
    bottle: Bottle, sent: Sent
) -> None:
    bottle.accepted(cluster_talos_version="1.13.7", install_event_id=1)
    bottle.wiped()
    bottle.bmc.on = False
    bottle.services.power_notes.observed({MACHINE: bottle.bmc.power_state()})
    failed(bottle, "power_on")
    PowerTurns(bottle.services.redis, 6).take("4c4c4544-0042-3510-8051-000000000000")
    login = bottle.services.mirror.load(MACHINE).bmc_configuration
    assert login is not None
    note_refused(bottle.services.redis, sealer(bottle.services.settings), MACHINE, login)
    result = ordered(bottle, Verb.POWER_ON, max_power_ons_per_minute=6)
    assert result.skipped.startswith("it waits for its turn: 6 power-ons a minute; about ")
    assert sent.tasks == [] and bottle.attempts() == {}
    assert not bottle.services.logins.login_refused(MACHINE, login)  # the watcher's task does not forgive it
    assert bottle.services.leases.mark_queued(MACHINE, "power_on")
    assert 5_000 < bottle.services.redis.zscore(ALARMS, MACHINE) - now_ms(bottle.services.redis) <= 10_000


def test_queue_that_does_not_answer_is_said_and_leaves_no_mark(bottle: Bottle, sent: Sent) -> None:
    wipe_due(bottle)
    sent.error = OperationalError("connection refused")
    with pytest.raises(QueueUnavailable, match="cannot send wipe"):
        ordered(bottle, Verb.WIPE)
    assert bottle.services.leases.mark_queued(MACHINE, "wipe")


def test_redis_that_fails_at_the_mark_is_said(bottle: Bottle, sent: Sent, monkeypatch: pytest.MonkeyPatch) -> None:
    wipe_due(bottle)

    def away(*_: object) -> None:
        raise redis.ConnectionError

    monkeypatch.setattr("app.state.lease.Leases.mark_queued", away)
    with pytest.raises(QueueUnavailable, match="cannot mark wipe"):
        ordered(bottle, Verb.WIPE)


@pytest.mark.parametrize(
    ("verb", "fields", "started"),
    [
        (Verb.ADOPT_RECORD, {"cluster_talos_version": "1.13.7"}, ("adopt_record",)),
        (Verb.ADOPT_RECORD, {}, ()),
        (Verb.WIPE_RECORD, {}, ("wipe_record",)),
        (Verb.WIPE_RECORD, {"cordoned": True}, ()),
    ],
)
def test_lost_record_is_ordered_anew_where_a_person_may(
    bottle: Bottle, sent: Sent, verb: Verb, fields: dict[str, Any], started: tuple[str, ...]
) -> None:
    lost(bottle, **fields)
    assert ordered(bottle, verb).started == started


def test_every_verb_has_a_task_that_a_worker_knows() -> None:
    app.loader.import_default_modules()
    for name in (*OPERATIONS.values(), OperationName.CONFIGURE_BMC, OperationName.TEARDOWN):
        assert TASKS[name].name == name.value
        assert name.value in app.tasks
