"""The one way to act: the lease, the copies of a task, and what is left behind."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
import redis
from celery.exceptions import Ignore

from app.machine.model import OperationName
from app.omni import errors
from app.omni.errors import OmniError, OwnerConflict
from app.omni.kinds import Kind
from app.state.lease import Leases
from app.state.mirror import Mirror
from app.state.secrets import Sealer
from tests.unit.workers.conftest import MACHINE, Bottle
from workers.enqueue import TASKS
from workers.errors import OperationFailed
from workers.keeper import DecideAnew, Guard, LeaseLost
from workers.operation import AlreadyRunning, perform, run
from workers.power import ON
from workers.turn import Procedure, Turn


def procedure(act: object) -> Procedure:
    """A wipe that does something else."""
    return Procedure(OperationName.WIPE, act)  # type: ignore[arg-type]  # any callable will do


def due(bottle: Bottle) -> None:
    """A machine whose wipe is due."""
    bottle.accepted()
    bottle.agent()


def test_machine_with_a_lease_is_left_alone(bottle: Bottle) -> None:
    due(bottle)
    bottle.services.leases.take(MACHINE, "power_off", "other-task")
    words = run(bottle.services, procedure(lambda _: "done"), MACHINE, "x", "this-task")
    assert words.startswith("skipped: power_off has run since")


def test_copy_of_the_running_task_does_not_touch_its_state(bottle: Bottle) -> None:
    due(bottle)
    bottle.services.leases.take(MACHINE, "wipe", "t1")
    with pytest.raises(AlreadyRunning):
        run(bottle.services, procedure(lambda _: "done"), MACHINE, "x", "t1")

    class Task:
        class request:  # noqa: N801  # as Celery names it
            id = "t1"

    with pytest.raises(Ignore):
        perform(Task, procedure(lambda _: "done"), MACHINE, "x")


def test_task_takes_its_queued_mark_off_when_it_begins(bottle: Bottle) -> None:
    due(bottle)
    assert bottle.services.leases.mark_queued(MACHINE, "wipe")
    assert not bottle.services.leases.mark_queued(MACHINE, "wipe")
    run(bottle.services, procedure(lambda _: "done"), MACHINE, "x", "t1")
    assert bottle.services.leases.mark_queued(MACHINE, "wipe")


def test_lease_that_vanished_is_taken_again_and_all_is_decided_anew(bottle: Bottle) -> None:
    due(bottle)
    seen: list[int] = []

    def act(turn: Turn) -> str:
        seen.append(turn.guard.lease.fence)
        if len(seen) == 1:
            bottle.services.redis.delete(f"om:lease:{MACHINE}", f"om:fence:{MACHINE}")
            turn.guard.renew()
        turn.guard.check()
        return "done"

    assert run(bottle.services, procedure(act), MACHINE, "x", "t1") == "done"
    assert len(seen) == 2


def test_lease_that_another_took_stops_the_task_before_its_next_act(bottle: Bottle) -> None:
    due(bottle)

    def act(turn: Turn) -> str:
        bottle.services.redis.delete(f"om:lease:{MACHINE}")
        bottle.services.leases.take(MACHINE, "wipe", "t2")
        turn.guard.check()
        return "must not get here"

    assert run(bottle.services, procedure(act), MACHINE, "x", "t1").startswith("skipped: a later operation")
    held = bottle.services.leases.current(MACHINE)
    assert held is not None and held.task_id == "t2"


def test_guard_that_could_not_renew_for_30_s_refuses(bottle: Bottle, monkeypatch: pytest.MonkeyPatch) -> None:
    lease, _ = bottle.services.leases.take(MACHINE, "wipe", "t1")
    guard = Guard(bottle.services.leases, lease)
    guard.check()
    monkeypatch.setattr("workers.keeper.time.monotonic", lambda: guard._renewed_s + 30.1)
    with pytest.raises(LeaseLost):
        guard.check()


def test_retaken_lease_is_said_once(bottle: Bottle) -> None:
    lease, _ = bottle.services.leases.take(MACHINE, "wipe", "t1")
    guard = Guard(bottle.services.leases, lease)
    bottle.services.redis.flushall()
    guard.renew()
    with pytest.raises(DecideAnew):
        guard.check()
    guard.check()


def test_fencing_numbers_rise_across_an_emptied_redis(bottle: Bottle) -> None:
    leases = bottle.services.leases
    first, _ = leases.take(MACHINE, "wipe", "t1")
    bottle.services.redis.flushall()
    second, _ = leases.take(MACHINE, "wipe", "t2")
    assert second.fence >= first.fence
    leases.give_back(second)
    third, _ = leases.take(MACHINE, "wipe", "t3")
    assert third.fence > second.fence


def test_unforeseen_fault_is_a_failed_attempt_that_a_person_can_see(bottle: Bottle) -> None:
    due(bottle)

    def act(_: Turn) -> str:
        raise ZeroDivisionError("a bug")

    with pytest.raises(OperationFailed, match="ZeroDivisionError: a bug"):
        run(bottle.services, procedure(act), MACHINE, "x", "t1")
    assert bottle.attempts()["wipe"].count == 1
    assert bottle.services.leases.current(MACHINE) is None


def test_ended_operation_wakes_the_watcher_after_the_lease_is_given_back(bottle: Bottle) -> None:
    due(bottle)
    bottle.services.alarms.take(100)
    run(bottle.services, procedure(lambda _: "done"), MACHINE, "x", "t1")
    assert MACHINE in bottle.services.alarms.take(100)


def test_success_forgets_the_failed_attempts(bottle: Bottle) -> None:
    due(bottle)

    def act(_: Turn) -> str:
        raise ZeroDivisionError

    with pytest.raises(OperationFailed):
        run(bottle.services, procedure(act), MACHINE, "x", "t1")
    bottle.pause_ends()
    run(bottle.services, procedure(lambda _: "done"), MACHINE, "x", "t2")
    assert bottle.attempts() == {}
    assert [e.outcome for e in bottle.services.history.read(MACHINE)] == ["done", "failed"]


def test_record_written_by_a_task_stands_in_the_mirror_before_the_lease_is_given_back(bottle: Bottle) -> None:
    due(bottle)

    def act(turn: Turn) -> str:
        turn.store(Kind.WIPE_STATUS, lambda spec: setattr(spec, "initial_wipe_done", True))
        assert bottle.services.leases.current(MACHINE) is not None
        assert bottle.services.mirror.load(MACHINE).wipe_status is not None
        return "done"

    assert run(bottle.services, procedure(act), MACHINE, "x", "t1") == "done"


def test_renewal_that_comes_after_the_end_does_not_take_the_lease_again(bottle: Bottle) -> None:
    lease, _ = bottle.services.leases.take(MACHINE, "wipe", "t1")
    with bottle.services.keeper.hold(lease) as guard:
        pass
    guard.renew()  # the keeper had this guard in hand already
    assert bottle.services.leases.current(MACHINE) is None


def test_answer_that_waited_for_longer_than_the_lease_lives_lets_nobody_act(
    bottle: Bottle, monkeypatch: pytest.MonkeyPatch
) -> None:
    lease, _ = bottle.services.leases.take(MACHINE, "wipe", "t1")
    fence, later_s = Leases.fence, time.monotonic() + 31

    def stands_still(leases: Leases, machine_id: str) -> int:
        answer = fence(leases, machine_id)
        monkeypatch.setattr(time, "monotonic", lambda: later_s)
        return answer

    monkeypatch.setattr(Leases, "fence", stands_still)
    with bottle.services.keeper.hold(lease) as guard, pytest.raises(LeaseLost):
        guard.check()


def test_holder_that_lost_its_lease_records_nothing(bottle: Bottle) -> None:
    due(bottle)

    def act(turn: Turn) -> str:  # frozen for a minute, while another task wiped and recorded
        bottle.services.redis.delete(f"om:lease:{MACHINE}")
        bottle.services.leases.take(MACHINE, "wipe", "t2")
        bottle.give(Kind.WIPE_STATUS, initial_wipe_done=True, last_wipe_id="w2")
        turn.store(Kind.WIPE_STATUS, lambda spec: setattr(spec, "last_wipe_id", "w1"))
        return "must not get here"

    assert run(bottle.services, procedure(act), MACHINE, "x", "t1").startswith("skipped: a later operation")
    assert bottle.spec(Kind.WIPE_STATUS).last_wipe_id == "w2"


def test_failure_before_the_decision_counts_as_an_attempt(bottle: Bottle, monkeypatch: pytest.MonkeyPatch) -> None:
    due(bottle)

    def refuse(*_: object) -> None:
        raise OwnerConflict("Get", "wipe_status", "is owned by somebody else")

    monkeypatch.setattr(bottle.omni, "get", refuse)
    confirming = Procedure(OperationName.WIPE, lambda _: "done", confirms=(Kind.WIPE_STATUS,))
    with pytest.raises(OperationFailed, match=r"is owned by somebody else\. Another program owns this resource"):
        run(bottle.services, confirming, MACHINE, "x", "t1")
    assert bottle.attempts()["wipe"].count == 1


@pytest.mark.parametrize(
    "refusal",
    [
        errors.NotAuthenticated,
        errors.KeyExpired,
        errors.ClockWrong,
        errors.EulaNotAccepted,
        errors.NotRegistered,
        errors.RoleInsufficient,
        errors.OmniUnavailable,
        errors.CertificateRefused,
        errors.NotOmni,
    ],
)
def test_refusal_of_the_account_uses_up_no_attempt_and_says_the_remedy(
    bottle: Bottle, monkeypatch: pytest.MonkeyPatch, refusal: type[OmniError]
) -> None:
    due(bottle)

    def refuse(*_: object) -> None:
        raise refusal("Get", "wipe_status", "said by Omni")

    monkeypatch.setattr(bottle.omni, "get", refuse)
    confirming = Procedure(OperationName.WIPE, lambda _: "must not get here", confirms=(Kind.WIPE_STATUS,))
    bottle.services.alarms.take(100)
    words = [run(bottle.services, confirming, MACHINE, "x", f"t{n}") for n in range(10)]
    assert all(said.startswith("skipped: Omni") and "said by Omni" in said for said in words)
    assert refusal.hint in words[0]
    assert bottle.attempts() == {}
    assert bottle.services.leases.current(MACHINE) is None
    assert bottle.services.alarms.take(100) == []  # not at once again


def test_wipe_whose_record_omni_refuses_uses_up_no_attempt(bottle: Bottle, monkeypatch: pytest.MonkeyPatch) -> None:
    due(bottle)

    def act(turn: Turn) -> str:
        def refuse(*_: object, **__: object) -> None:
            raise errors.NotAuthenticated("Update", "wipe_status", "invalid signature")

        monkeypatch.setattr(bottle.omni, "update", refuse)
        turn.store(Kind.WIPE_STATUS, lambda spec: setattr(spec, "initial_wipe_done", True))
        return "must not get here"

    assert run(bottle.services, procedure(act), MACHINE, "x", "t1").startswith("skipped: Omni refuses this provider")
    assert bottle.attempts() == {}


def test_redis_that_fails_after_the_act_does_not_make_it_a_failure(
    bottle: Bottle, monkeypatch: pytest.MonkeyPatch
) -> None:
    due(bottle)

    def away(*_: object) -> None:
        raise redis.ConnectionError

    monkeypatch.setattr(type(bottle.services.history), "add", away)
    assert run(bottle.services, procedure(lambda _: "done"), MACHINE, "x", "t1") == "done"
    assert bottle.attempts() == {}


def test_redis_that_fails_during_the_act_is_no_failed_attempt(bottle: Bottle) -> None:
    due(bottle)

    def act(turn: Turn) -> str:
        raise redis.TimeoutError

    words = run(bottle.services, procedure(act), MACHINE, "x", "t1")
    assert words == "skipped: Redis does not answer (TimeoutError)"
    assert bottle.attempts() == {}


def test_error_that_redis_answers_is_a_failed_attempt(bottle: Bottle) -> None:
    due(bottle)

    def act(turn: Turn) -> str:
        raise redis.ResponseError("wrong type")

    with pytest.raises(OperationFailed, match="wrong type"):
        run(bottle.services, procedure(act), MACHINE, "x", "t1")
    assert bottle.attempts()["wipe"].count == 1


def test_mirror_that_nobody_keeps_lets_no_task_begin(bottle: Bottle) -> None:
    due(bottle)
    bottle.services.redis.delete("om:mirror:watched")
    assert "not complete" in run(bottle.services, procedure(lambda _: "done"), MACHINE, "x", "t1")


def test_mirror_sealed_with_another_key_is_never_taken_for_an_empty_one(bottle: Bottle) -> None:
    due(bottle)
    mirror = Mirror(bottle.services.redis, Sealer(b"x" * 32))
    words = run(replace(bottle.services, mirror=mirror), procedure(lambda _: "done"), MACHINE, "x", "t1")
    assert words.startswith("skipped: the BMC logins in Redis are sealed with another key")


@pytest.mark.parametrize("operation_id", [None, "x"])
def test_mirror_sealed_with_another_key_leaves_no_queued_mark(bottle: Bottle, operation_id: str | None) -> None:
    bottle.accepted()
    assert bottle.services.leases.mark_queued(MACHINE, "power_on")
    services = replace(bottle.services, mirror=Mirror(bottle.services.redis, Sealer(b"x" * 32)))
    words = run(services, ON, MACHINE, operation_id, "t1")
    assert words.startswith("skipped: the BMC logins in Redis are sealed with another key")
    assert bottle.services.leases.at_work([MACHINE]) == {}
    assert skips(bottle) == ([] if operation_id else [("power_on", "t1", words.removeprefix("skipped: "))])


def skips(bottle: Bottle) -> list[tuple[str, str, str]]:
    """What the history says of attempts that were skipped."""
    entries = bottle.services.history.read(MACHINE)
    return [(e.operation, e.task_id, e.words) for e in entries if e.outcome == "skipped"]


def test_skipped_attempt_by_hand_stands_in_the_history_with_the_reason(bottle: Bottle) -> None:
    bottle.accepted(wipe_id="w1")
    bottle.wiped(last_wipe_id="w1")
    words = run(bottle.services, procedure(lambda _: "done"), MACHINE, None, "t1")
    assert words == 'skipped: not due: Omni does not want it wiped: its wipe id "w1" is the one that it was wiped for.'
    assert skips(bottle) == [("wipe", "t1", words.removeprefix("skipped: "))]


def test_skipped_attempt_by_the_clock_leaves_no_entry(bottle: Bottle) -> None:
    bottle.accepted()
    bottle.wiped()
    run(bottle.services, procedure(lambda _: "done"), MACHINE, "x", "t1")
    bottle.services.leases.take(MACHINE, "power_off", "other-task")
    run(bottle.services, procedure(lambda _: "done"), MACHINE, "x", "t2")
    assert bottle.services.history.read(MACHINE) == []


def test_attempt_by_hand_that_finds_another_at_work_stands_in_the_history(bottle: Bottle) -> None:
    due(bottle)
    bottle.services.leases.take(MACHINE, "power_off", "other-task")
    run(bottle.services, procedure(lambda _: "done"), MACHINE, None, "t1")
    ((operation, task_id, words),) = skips(bottle)
    assert (operation, task_id) == ("wipe", "t1") and words.startswith("power_off has run since")


def test_attempt_by_hand_while_the_mirror_is_not_complete_stands_in_the_history(bottle: Bottle) -> None:
    due(bottle)
    bottle.services.redis.delete("om:mirror:watched")
    run(bottle.services, procedure(lambda _: "done"), MACHINE, None, "t1")
    ((_, _, words),) = skips(bottle)
    assert "not complete" in words


def test_attempt_by_hand_at_a_machine_that_nobody_knows_leaves_nothing(bottle: Bottle) -> None:
    assert "Omni does not know" in run(bottle.services, procedure(lambda _: "done"), MACHINE, None, "t1")
    assert bottle.services.history.read(MACHINE) == []


def test_failure_of_what_is_done_by_hand_only_is_shown_and_never_tried_again(bottle: Bottle) -> None:
    due(bottle)

    def act(_: Turn) -> str:
        raise ZeroDivisionError("a bug")

    with pytest.raises(OperationFailed, match="a bug"):
        run(bottle.services, Procedure(OperationName.PXE_ARM, act), MACHINE, None, "t1")
    assert bottle.attempts() == {}
    (entry,) = bottle.services.history.read(MACHINE)
    assert (entry.operation, entry.outcome, entry.words) == ("pxe_arm", "failed", "ZeroDivisionError: a bug")


@pytest.mark.parametrize("wrong", ["nope", "", 7, None, "4c4c4544"])
def test_task_with_a_wrong_machine_id_fails_and_says_so(bottle: Bottle, wrong: object) -> None:
    for task in TASKS.values():
        result = task.apply(kwargs={"machine_id": wrong})
        assert (result.state, str(result.result)) == ("FAILURE", f"machine_id {wrong!r} is not a UUID")


def test_every_task_by_hand_takes_a_machine_id_in_upper_case(bottle: Bottle) -> None:
    bottle.accepted(wipe_id="w1", cluster_talos_version="1.13.7", install_event_id=1)
    bottle.wiped(last_wipe_id="w1")
    reading = {OperationName.BMC_TEST, OperationName.BMC_PROBE}
    for name, task in TASKS.items():
        result = task.apply(kwargs={"machine_id": MACHINE.upper()})
        assert result.state == "SUCCESS", name
        assert result.result.startswith("the BMC at " if name in reading else "skipped: not due: "), name
    assert {operation for operation, _, _ in skips(bottle)} == {name.value for name in TASKS.keys() - reading}
    assert bottle.bmc.commands == []
