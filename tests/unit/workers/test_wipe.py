"""Wiping: what it must do, and all the ways in which it must refuse."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.agents.errors import AgentFailed, AgentGone, StaleFence, WipeRefused
from app.machine.model import Phase
from app.omni.kinds import Kind
from tests.unit.workers.conftest import MACHINE, Bottle
from workers.wipe import wipe


def run(bottle: Bottle, **kwargs: str) -> tuple[str, str]:
    """State and words of the task, run eagerly."""
    result = wipe.apply(kwargs={"machine_id": MACHINE, **kwargs})
    return result.state, str(result.result)


def test_accepted_machine_with_agent_is_wiped_and_recorded(bottle: Bottle) -> None:
    bottle.accepted(wipe_id="w1", install_event_id=3)
    bottle.agent()
    assert run(bottle) == ("SUCCESS", "wiped all disks for wipe id 'w1'")
    spec = bottle.spec(Kind.WIPE_STATUS)
    assert (spec.initial_wipe_done, spec.last_wipe_id, spec.last_wipe_install_event_id) == (True, "w1", 3)
    assert spec.wiped_node_unique_token == "token"
    assert bottle.services.mirror.load(MACHINE).wipe_status is not None
    assert bottle.services.leases.current(MACHINE) is None


def test_second_delivery_after_the_wipe_is_skipped(bottle: Bottle) -> None:
    bottle.accepted()
    bottle.agent()
    run(bottle)
    state, words = run(bottle)
    assert state == "SUCCESS" and words.startswith("skipped: not due")
    assert len(bottle.gateway.wipes) == 1


def test_wipe_id_that_changes_meanwhile_is_not_recorded_as_wiped(bottle: Bottle) -> None:
    bottle.accepted(wipe_id="w1")
    bottle.agent()
    bottle.gateway.during_wipe = lambda: bottle.omni.give(Kind.INFRA_MACHINE, MACHINE, wipe_id="w2")
    run(bottle)
    assert bottle.spec(Kind.WIPE_STATUS).last_wipe_id == "w1"


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"acceptance_status": 0}, "accepted"),
        ({"acceptance_status": 2}, "rejected"),
        ({"cordoned": True}, "cordoned"),
    ],
)
def test_gated_machine_is_never_wiped_though_the_mirror_is_behind(
    bottle: Bottle, change: dict[str, object], why: str
) -> None:
    bottle.accepted()
    bottle.agent()
    bottle.omni.give(Kind.INFRA_MACHINE, MACHINE, **change)  # only Omni knows it yet
    state, words = run(bottle)
    assert state == "SUCCESS" and words.startswith("skipped") and why in words
    assert bottle.gateway.wipes == []


def test_record_of_a_wipe_that_only_omni_has_prevents_another(bottle: Bottle) -> None:
    bottle.accepted()
    bottle.agent()
    bottle.omni.give(Kind.WIPE_STATUS, MACHINE, initial_wipe_done=True)
    assert run(bottle)[1].startswith("skipped: not due")
    assert bottle.gateway.wipes == []


def test_lost_record_is_never_taken_for_a_new_machine(bottle: Bottle) -> None:
    bottle.accepted()
    bottle.agent()
    bottle.give(Kind.INFRA_MACHINE_STATUS, ready_to_use=True)
    state, words = run(bottle)
    assert state == "SUCCESS" and "record" in words
    assert bottle.gateway.wipes == []


def test_lost_record_of_a_machine_that_the_mirror_takes_for_a_new_one_is_none_all_the_same(bottle: Bottle) -> None:
    bottle.accepted()
    bottle.agent()
    bottle.omni.give(Kind.INFRA_MACHINE_STATUS, MACHINE, ready_to_use=True)
    assert "record" in run(bottle)[1]
    assert bottle.gateway.wipes == []


@pytest.mark.parametrize("agent", ["gone", "unknown"])
def test_agent_that_is_not_there_means_no_wipe(bottle: Bottle, agent: str) -> None:
    bottle.accepted()
    if agent == "gone":
        bottle.no_agent()
    assert run(bottle)[1].startswith("skipped: not due")
    assert bottle.gateway.wipes == []


def test_omni_away_means_no_wipe_and_no_failed_attempt(bottle: Bottle) -> None:
    bottle.accepted()
    bottle.agent()
    bottle.omni.away = True
    state, words = run(bottle)
    assert state == "SUCCESS" and "Omni cannot be reached" in words
    assert bottle.gateway.wipes == [] and bottle.attempts() == {}


def test_mirror_not_complete_means_no_wipe(bottle: Bottle) -> None:
    bottle.accepted()
    bottle.agent()
    bottle.services.redis.delete("om:mirror:complete")
    assert "mirror" in run(bottle)[1]
    assert bottle.gateway.wipes == []


def test_quarantine_after_redis_was_emptied_means_no_wipe(bottle: Bottle) -> None:
    bottle.accepted()
    bottle.agent()
    bottle.services.mirror.mark_complete(bottle.services.mirror.begin_build(), 30_000)
    assert run(bottle)[1].startswith("skipped: the mirror was just rebuilt")
    assert bottle.gateway.wipes == []


def test_machine_removed_during_the_wipe_is_not_recorded(bottle: Bottle) -> None:
    bottle.accepted()
    bottle.agent()
    bottle.gateway.during_wipe = lambda: bottle.omni.give(Kind.INFRA_MACHINE, MACHINE, phase=Phase.TEARING_DOWN)
    assert "being removed" in run(bottle)[1]
    assert (Kind.WIPE_STATUS, MACHINE) not in bottle.omni.stored


def test_refused_wipe_is_parked_at_once_with_the_agents_words(bottle: Bottle) -> None:
    bottle.accepted()
    bottle.agent()
    bottle.gateway.answer = WipeRefused("disk sda is a RAID member")
    state, words = run(bottle)
    attempt = bottle.attempts()["wipe"]
    assert state == "FAILURE" and "disk sda is a RAID member" in words
    assert attempt.parked and attempt.next_ms == 0 and "disk sda is a RAID member" in attempt.words


def test_failing_wipes_are_parked_after_five_attempts_and_tried_again_later(bottle: Bottle) -> None:
    bottle.accepted()
    bottle.agent()
    bottle.gateway.answer = AgentFailed("disk sdb: I/O error")
    for count in range(1, 6):
        assert run(bottle, operation_id="x")[0] == "FAILURE"
        attempt = bottle.attempts()["wipe"]
        assert (attempt.count, attempt.parked) == (count, count == 5)
        bottle.pause_ends()
    assert attempt.next_ms - attempt.failed_ms == 30 * 60 * 1000
    assert [e.outcome for e in bottle.services.history.read(MACHINE)] == ["failed"] * 5


def test_wipe_started_by_hand_forgets_the_failed_attempts(bottle: Bottle) -> None:
    bottle.accepted()
    bottle.agent()
    bottle.gateway.answer = AgentFailed("disk sdb: I/O error")
    for _ in range(5):
        run(bottle, operation_id="x")
        bottle.pause_ends()
    run(bottle)
    assert bottle.attempts()["wipe"].count == 1


def test_new_wipe_id_begins_its_attempts_anew(bottle: Bottle) -> None:
    bottle.accepted(wipe_id="w1")
    bottle.agent()
    bottle.gateway.answer = AgentGone("the tunnel was lost")
    run(bottle, operation_id="x")
    run(bottle, operation_id="x")
    bottle.give(Kind.INFRA_MACHINE, wipe_id="w2")
    run(bottle, operation_id="x")
    assert bottle.attempts()["wipe"].count == 1


def test_stale_fence_is_no_failure_of_the_machine(bottle: Bottle) -> None:
    bottle.accepted()
    bottle.agent()
    bottle.gateway.answer = StaleFence("7 is lower than 8")
    assert run(bottle)[1].startswith("skipped: a later operation")
    assert bottle.attempts() == {}


def test_machine_id_that_is_no_uuid_is_named(bottle: Bottle) -> None:
    result = wipe.apply(kwargs={"machine_id": "rack 7"})
    assert result.state == "FAILURE" and "'rack 7' is not a UUID" in str(result.result)


def test_record_lost_twice_asks_for_two_wipes_that_no_kept_success_can_answer(bottle: Bottle) -> None:
    bottle.accepted()
    bottle.agent()
    for _ in range(2):
        bottle.omni.remove(Kind.WIPE_STATUS, MACHINE)
        bottle.give(Kind.WIPE_STATUS, initial_wipe_done=False)  # as a person has it written anew
        run(bottle)
    first, second = bottle.gateway.wipes
    assert first != second


def test_machine_that_was_removed_and_came_back_asks_for_a_wipe_that_no_kept_success_can_answer(bottle: Bottle) -> None:
    for _ in range(2):
        bottle.accepted()
        bottle.agent()
        assert run(bottle)[0] == "SUCCESS"
        for kind in (Kind.INFRA_MACHINE, Kind.WIPE_STATUS):
            bottle.services.mirror.remove(bottle.omni.stored[kind, MACHINE])
            bottle.omni.remove(kind, MACHINE)
    first, second = bottle.gateway.wipes
    assert first != second
    assert replace(first, wipe_status_version="") == replace(second, wipe_status_version="")
