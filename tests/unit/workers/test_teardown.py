"""Removing a machine: back into agent mode once, our records away, our hold on it last."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from app.agents.errors import GatewayUnreachable
from app.machine.model import Phase, PowerState
from app.omni.errors import OmniUnavailable
from app.omni.kinds import Kind
from tests.unit.workers.conftest import MACHINE, Bottle, FakeBmc
from workers.bmc.errors import BmcBusy, BmcInUse, BmcUnreachable
from workers.teardown import RECORDS, teardown_task


def run(bottle: Bottle) -> tuple[str, str]:
    result = teardown_task.apply(kwargs={"machine_id": MACHINE})
    return result.state, str(result.result)


def removed(bottle: Bottle) -> None:
    """A machine in Talos that the operator removed."""
    bottle.accepted(cluster_talos_version="1.13.7", install_event_id=1)
    bottle.wiped()
    bottle.no_agent()
    bottle.services.mirror.put(bottle.omni.add_finalizer(Kind.INFRA_MACHINE, MACHINE))
    bottle.services.mirror.put(bottle.omni.give(Kind.INFRA_MACHINE, MACHINE, phase=Phase.TEARING_DOWN))


def left(bottle: Bottle) -> set[Kind]:
    return {kind for kind, _ in bottle.omni.stored}


def test_machine_in_talos_is_rebooted_into_agent_mode_and_all_records_go(bottle: Bottle) -> None:
    removed(bottle)
    assert run(bottle) == ("SUCCESS", "removed, rebooted into agent mode")
    assert bottle.bmc.commands == ["pxe:uefi", "reboot"]
    assert left(bottle) == {Kind.INFRA_MACHINE}
    assert bottle.omni.stored[Kind.INFRA_MACHINE, MACHINE].finalizers == ()
    assert bottle.services.mirror.load(MACHINE).wipe_status is None


def test_machine_in_agent_mode_or_off_is_not_rebooted(bottle: Bottle) -> None:
    removed(bottle)
    bottle.bmc.on = False
    assert run(bottle) == ("SUCCESS", "removed")
    assert bottle.bmc.commands == []


def test_bmc_that_does_not_answer_does_not_hold_the_machine(bottle: Bottle) -> None:
    removed(bottle)
    bottle.bmc.fails = {"status": BmcUnreachable("timeout"), "pxe:uefi": BmcUnreachable("timeout")}
    assert run(bottle) == ("SUCCESS", "removed")
    assert left(bottle) == {Kind.INFRA_MACHINE}


BUSY = [BmcBusy("503", executed=False), BmcInUse("another of ours", executed=False)]


@pytest.mark.parametrize("error", BUSY)
@pytest.mark.parametrize("verb", ["pxe:uefi", "reboot"])
def test_bmc_that_is_busy_is_asked_again_for_the_one_reboot_before_anything_goes(
    bottle: Bottle, verb: str, error: Exception
) -> None:
    removed(bottle)
    stood = left(bottle)
    bottle.bmc.fails[verb] = error
    state, words = run(bottle)
    assert state == "FAILURE" and str(error) in words and left(bottle) == stood
    bottle.bmc.fails.clear()
    bottle.pause_ends()
    assert run(bottle) == ("SUCCESS", "removed, rebooted into agent mode")


@pytest.mark.parametrize("error", BUSY)
def test_bmc_whose_session_cannot_be_had_for_now_is_asked_again(
    bottle: Bottle, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    removed(bottle)
    stood = left(bottle)

    def busy(*_: object, **__: object) -> FakeBmc:
        raise error

    with monkeypatch.context() as now:
        now.setattr("workers.bmc.door.open_session", busy)
        assert run(bottle)[0] == "FAILURE" and left(bottle) == stood
    bottle.pause_ends()
    assert run(bottle) == ("SUCCESS", "removed, rebooted into agent mode")


@pytest.mark.parametrize("verb", ["pxe:uefi", "reboot"])
def test_bmc_that_stays_busy_does_not_hold_the_machine_for_ever(bottle: Bottle, verb: str) -> None:
    removed(bottle)
    bottle.bmc.fails[verb] = BmcBusy("503", executed=False)
    task = {"machine_id": MACHINE, "operation_id": "by the watcher"}
    attempts = bottle.services.settings.operation_attempts
    for _ in range(attempts - 1):
        assert teardown_task.apply(kwargs=task).state == "FAILURE"
        assert not bottle.attempts()["teardown"].parked
        bottle.pause_ends()
    assert teardown_task.apply(kwargs=task).result == "removed"
    assert left(bottle) == {Kind.INFRA_MACHINE}


def test_busy_bmc_that_may_have_reset_the_machine_is_not_asked_again(bottle: Bottle) -> None:
    removed(bottle)
    bottle.bmc.fails["reboot"] = BmcBusy("503, and nobody knows", executed=None)
    assert run(bottle) == ("SUCCESS", "removed")
    assert bottle.bmc.commands == ["pxe:uefi", "reboot"]


def busy_and_meanwhile(monkeypatch: pytest.MonkeyPatch, happens: Callable[[], object]) -> None:
    """The BMC is busy when it is asked to reset, and something happens before it says so."""

    def reboot(_: FakeBmc) -> None:
        happens()
        raise BmcBusy("503", executed=False)

    monkeypatch.setattr(FakeBmc, "reboot", reboot)


def test_reboot_that_was_not_sent_is_not_taken_for_done_where_omni_breaks_off(
    bottle: Bottle, monkeypatch: pytest.MonkeyPatch
) -> None:
    removed(bottle)
    stood, remove, broken = left(bottle), bottle.omni.remove, iter([True])

    def breaks_off_once(kind: Kind, machine_id: str) -> None:
        if next(broken, False):
            raise OmniUnavailable("Teardown", "omni", "connection lost")
        remove(kind, machine_id)

    monkeypatch.setattr("workers.power.RECORD_PAUSE_S", 0.0)
    with monkeypatch.context() as now:
        now.setattr(bottle.omni, "remove", breaks_off_once)
        busy_and_meanwhile(now, lambda: None)
        assert run(bottle)[0] == "FAILURE" and left(bottle) == stood
    bottle.pause_ends()
    assert run(bottle) == ("SUCCESS", "removed, rebooted into agent mode")


def test_reboot_that_was_not_sent_is_not_taken_for_done_where_the_lease_ended_meanwhile(
    bottle: Bottle, monkeypatch: pytest.MonkeyPatch
) -> None:
    removed(bottle)
    stood = left(bottle)
    with monkeypatch.context() as now:
        busy_and_meanwhile(now, lambda: now.setattr("workers.keeper.LEASE_MS", -1))
        run(bottle)
        assert left(bottle) == stood
    bottle.pause_ends()
    assert run(bottle) == ("SUCCESS", "removed, rebooted into agent mode")


def test_mark_of_a_later_teardown_stays(bottle: Bottle, monkeypatch: pytest.MonkeyPatch) -> None:
    removed(bottle)

    def taken() -> None:
        bottle.services.redis.delete(f"om:lease:{MACHINE}")
        bottle.services.leases.take(MACHINE, "teardown", "t2")

    busy_and_meanwhile(monkeypatch, taken)
    run(bottle)
    assert Kind.REBOOT_STATUS in left(bottle)


def test_power_that_is_read_wrong_once_after_the_reboot_is_read_again(
    bottle: Bottle, monkeypatch: pytest.MonkeyPatch
) -> None:
    removed(bottle)
    answers = [PowerState.ON, PowerState.OFF, BmcUnreachable("timeout"), PowerState.ON]

    def power_state(_: FakeBmc) -> PowerState:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(FakeBmc, "power_state", power_state)
    assert run(bottle) == ("SUCCESS", "removed, rebooted into agent mode")
    assert bottle.bmc.commands == ["pxe:uefi", "reboot"]
    assert answers == []


def test_machine_that_does_not_come_on_again_is_removed_all_the_same(
    bottle: Bottle, monkeypatch: pytest.MonkeyPatch
) -> None:
    removed(bottle)
    monkeypatch.setattr("workers.power.REACHED_WITHIN_S", 0.0)

    def reboot(bmc: FakeBmc) -> None:
        bmc.log.append("reboot")
        bmc.on = False

    monkeypatch.setattr(FakeBmc, "reboot", reboot)
    assert run(bottle) == ("SUCCESS", "removed")
    assert bottle.bmc.commands == ["pxe:uefi", "reboot"]
    assert left(bottle) == {Kind.INFRA_MACHINE}


def test_interrupted_teardown_does_not_reboot_a_second_time(bottle: Bottle) -> None:
    removed(bottle)
    bottle.omni.give(Kind.REBOOT_STATUS, MACHINE, phase=Phase.TEARING_DOWN)
    run(bottle)
    assert bottle.bmc.commands == []


@pytest.mark.parametrize("removals", range(len(RECORDS)))
def test_teardown_cut_off_after_any_record_does_not_reboot_a_second_time(
    bottle: Bottle, monkeypatch: pytest.MonkeyPatch, removals: int
) -> None:
    removed(bottle)
    done, remove = [], bottle.omni.remove

    def removed_until_cut_off(kind: Kind, machine_id: str) -> None:
        if len(done) == removals:
            raise OmniUnavailable("Teardown", "omni", "connection lost")
        remove(kind, machine_id)
        done.append(kind)

    with monkeypatch.context() as cut_off:
        cut_off.setattr(bottle.omni, "remove", removed_until_cut_off)
        assert run(bottle)[1].startswith("skipped: Omni cannot be reached")
    assert run(bottle)[1] == "removed"
    assert bottle.bmc.commands == ["pxe:uefi", "reboot"]


def test_machine_that_is_not_removed_is_never_torn_down(bottle: Bottle) -> None:
    removed(bottle)
    bottle.omni.stored.clear()
    bottle.accepted(cluster_talos_version="1.13.7")
    assert run(bottle)[1].startswith("skipped: not due")
    assert Kind.BMC_CONFIGURATION in left(bottle)


@pytest.mark.parametrize("running", [True, GatewayUnreachable("no answer")])
def test_machine_that_may_be_wiped_just_now_waits(bottle: Bottle, running: object) -> None:
    removed(bottle)
    bottle.gateway.running = running
    assert run(bottle)[1].startswith("skipped: ")
    assert Kind.BMC_CONFIGURATION in left(bottle)


def test_other_programs_finalizers_stay(bottle: Bottle) -> None:
    removed(bottle)
    bottle.omni.update(Kind.INFRA_MACHINE, MACHINE, lambda d: d.finalizers.append("omni.Controller"))
    run(bottle)
    assert bottle.omni.stored[Kind.INFRA_MACHINE, MACHINE].finalizers == ("omni.Controller",)
