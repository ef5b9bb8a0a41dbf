"""Power: what is sent to the BMC, what is recorded before, and when nothing may be sent."""

from __future__ import annotations

import time
from typing import Any

import pytest
import redis

from app.agents.errors import GatewayUnreachable
from app.machine.decide import decide
from app.machine.model import DecideOptions, PowerState
from app.omni.errors import OmniUnavailable
from app.omni.kinds import Kind
from app.omni.resource import Resource
from app.state.lease import Leases
from app.state.mirror import Mirror
from app.state.power import PowerNotes
from app.watcher.choose import obsolete
from tests.unit.workers.conftest import MACHINE, Bottle, FakeBmc
from workers import power, turn
from workers.bmc.errors import BmcAuthenticationFailed, BmcBusy, BmcRefused, BmcUnreachable
from workers.power import power_off_task, power_on_task
from workers.pxe_arm import pxe_arm
from workers.reboot import reboot_task
from workers.turn import Turn


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(power, "REACHED_WITHIN_S", 0.1)
    monkeypatch.setattr(power, "RECORDED_WITHIN_S", 0.1)
    monkeypatch.setattr(power, "RECORD_PAUSE_S", 0.01)


def run(task: object, **kwargs: str) -> tuple[str, str]:
    """State and words of the task, run eagerly."""
    result = task.apply(kwargs={"machine_id": MACHINE, **kwargs})  # type: ignore[attr-defined]  # a Celery task
    return result.state, str(result.result)


class Faltering:
    """An Omni that breaks off so many times amid an update. stores: it has done it all the same."""

    def __init__(self, bottle: Bottle, monkeypatch: pytest.MonkeyPatch, *, times: int, stores: bool) -> None:
        self.faltered = 0
        update: Any = bottle.omni.update

        def faltering(kind: Kind, machine_id: str, *args: Any, **options: Any) -> Resource:
            if self.faltered >= times:
                return update(kind, machine_id, *args, **options)  # type: ignore[no-any-return]
            self.faltered += 1
            if stores:
                update(kind, machine_id, *args, **options)
            raise OmniUnavailable("Update", f"{kind.value}/{machine_id}", "Socket closed")

        monkeypatch.setattr(bottle.omni, "update", faltering)


def in_cluster(bottle: Bottle, installed: bool = False) -> None:
    """A machine that was wiped and put into a cluster."""
    bottle.accepted(cluster_talos_version="1.13.7", install_event_id=int(installed))
    bottle.wiped()


def test_allocated_machine_that_is_off_is_armed_and_powered_on(bottle: Bottle) -> None:
    in_cluster(bottle)
    bottle.bmc.on = False
    assert run(power_on_task)[0] == "SUCCESS"
    assert bottle.bmc.commands == ["pxe:uefi", "on"]
    spec = bottle.spec(Kind.POWER_OPERATION)
    assert spec.last_power_operation == PowerState.ON and spec.HasField("last_power_on_timestamp")
    assert bottle.facts().powered_on is True
    assert bottle.bmc.log[-1] == "close"


def test_installed_machine_is_powered_on_to_its_disk_without_arming(bottle: Bottle) -> None:
    in_cluster(bottle, installed=True)
    bottle.bmc.on = False
    run(power_on_task)
    assert bottle.bmc.commands == ["on"]


@pytest.mark.parametrize("gate", [{"cordoned": True}, {"acceptance_status": 2}, {"power_off_request_id": "p1"}])
def test_machine_that_only_omni_knows_to_be_left_off_is_not_powered_on(bottle: Bottle, gate: dict[str, Any]) -> None:
    in_cluster(bottle)
    bottle.bmc.on = False
    bottle.omni.give(Kind.INFRA_MACHINE, MACHINE, **gate)  # the mirror is behind
    assert run(power_on_task)[1].startswith("skipped: not due")
    assert bottle.bmc.commands == []


def test_machine_that_is_on_is_not_powered_on_again(bottle: Bottle) -> None:
    in_cluster(bottle)
    assert run(power_on_task)[1].startswith("skipped: not due")
    assert bottle.bmc.commands == []


def test_power_on_fulfils_a_requested_reboot(bottle: Bottle) -> None:
    in_cluster(bottle)
    bottle.give(Kind.INFRA_MACHINE, requested_reboot_id="r1")
    bottle.bmc.on = False
    run(power_on_task)
    spec = bottle.spec(Kind.REBOOT_STATUS)
    assert spec.last_reboot_id == "r1" and not spec.HasField("last_reboot_timestamp")


def test_command_that_the_bmc_did_not_execute_puts_the_record_back(bottle: Bottle) -> None:
    in_cluster(bottle)
    bottle.bmc.on = False
    bottle.bmc.fails["on"] = BmcRefused("no", executed=False)
    assert run(power_on_task)[0] == "FAILURE"
    spec = bottle.spec(Kind.POWER_OPERATION)
    assert spec.last_power_operation == PowerState.UNKNOWN and not spec.HasField("last_power_on_timestamp")


def test_command_to_a_bmc_that_somebody_else_uses_by_now_is_not_sent_and_puts_the_record_back(
    bottle: Bottle, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_cluster(bottle, installed=True)
    bottle.bmc.on = False
    about_to_act = Turn.about_to_act

    def overtaken(turn: Turn) -> None:
        about_to_act(turn)
        bottle.services.redis.set("om:bmc:192.0.2.1:80", "somebody else")

    monkeypatch.setattr(Turn, "about_to_act", overtaken)
    state, words = run(power_on_task)
    assert state == "FAILURE" and "somebody else uses the BMC" in words
    assert bottle.bmc.commands == []
    assert not bottle.spec(Kind.POWER_OPERATION).HasField("last_power_on_timestamp")
    assert bottle.services.redis.get("om:bmc:192.0.2.1:80") == b"somebody else"


def test_power_that_is_read_wrong_once_or_not_at_all_is_read_again_and_nothing_is_sent_again(
    bottle: Bottle, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_cluster(bottle, installed=True)
    off, on = PowerState.OFF, PowerState.ON
    answers: list[PowerState | Exception] = [off, BmcUnreachable("timeout"), off, BmcBusy("503"), on]

    def power_state(_: FakeBmc) -> PowerState:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(power, "REACHED_WITHIN_S", 5.0)
    monkeypatch.setattr(FakeBmc, "power_state", power_state)
    assert run(power_on_task) == ("SUCCESS", "powered on")
    assert (bottle.bmc.commands, answers) == (["on"], [])


def test_login_that_is_refused_while_the_power_is_read_back_is_not_asked_again(
    bottle: Bottle, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_cluster(bottle, installed=True)
    bottle.bmc.on = False
    reads: list[str] = []

    def power_state(_: FakeBmc) -> PowerState:
        reads.append("status")
        if len(reads) > 1:
            raise BmcAuthenticationFailed("401", executed=False)
        return PowerState.OFF

    monkeypatch.setattr(FakeBmc, "power_state", power_state)
    assert run(power_on_task)[0] == "FAILURE"
    assert (len(reads), bottle.bmc.commands) == (2, ["on"])
    assert bottle.spec(Kind.POWER_OPERATION).HasField("last_power_on_timestamp")  # it may have been switched on
    assert bottle.attempts()["power_on"].parked


def test_operation_on_a_bmc_in_use_waits_for_its_turn_and_then_fails_with_nothing_sent(
    bottle: Bottle, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_cluster(bottle)
    bottle.services.power_notes.observed({MACHINE: PowerState.OFF})
    bottle.services.redis.set("om:bmc:192.0.2.1:80", "somebody else")
    monkeypatch.setattr("workers.bmc.door.TURN_WITHIN_S", 0.1)
    state, words = run(power_on_task)
    assert state == "FAILURE" and "has one user at a time" in words
    assert bottle.bmc.log == []
    attempt = bottle.attempts()["power_on"]
    assert (attempt.error, attempt.parked, attempt.next_ms - attempt.failed_ms) == ("BmcInUse", False, 60_000)


def test_command_of_unknown_fate_leaves_the_record(bottle: Bottle) -> None:
    in_cluster(bottle)
    bottle.bmc.on = False
    bottle.bmc.fails["on"] = BmcUnreachable("timeout")
    run(power_on_task)
    assert bottle.spec(Kind.POWER_OPERATION).HasField("last_power_on_timestamp")


def test_bmc_that_says_yes_and_does_nothing_is_a_failure(bottle: Bottle) -> None:
    in_cluster(bottle)
    bottle.bmc.on, bottle.bmc.deaf = False, True
    state, words = run(power_on_task)
    assert state == "FAILURE" and "instead of ON" in words


def test_refused_login_is_parked_at_once(bottle: Bottle) -> None:
    in_cluster(bottle)
    bottle.services.power_notes.observed({MACHINE: PowerState.OFF})
    bottle.bmc.fails["status"] = BmcAuthenticationFailed("401")
    assert run(power_on_task)[0] == "FAILURE"
    attempt = bottle.attempts()["power_on"]
    assert attempt.parked and attempt.next_ms == 0
    ((_, notes),) = bottle.services.mirror.load_noted([MACHINE])
    assert notes.bmc_trouble is not None and notes.bmc_trouble.refused


def test_idle_machine_is_powered_off_and_recorded(bottle: Bottle) -> None:
    bottle.accepted()
    bottle.wiped()
    assert run(power_off_task) == ("SUCCESS", "powered off")
    assert bottle.bmc.commands == ["off"]
    assert bottle.spec(Kind.POWER_OPERATION).last_power_operation == PowerState.OFF
    assert bottle.facts().agent_accessible is False


def test_power_off_that_the_bmc_did_not_execute_is_not_recorded(bottle: Bottle) -> None:
    bottle.accepted()
    bottle.wiped()
    bottle.give(Kind.POWER_OPERATION, last_power_operation=PowerState.ON)
    bottle.bmc.fails["off"] = BmcRefused("no", executed=False)
    assert run(power_off_task)[0] == "FAILURE"
    assert bottle.spec(Kind.POWER_OPERATION).last_power_operation == PowerState.ON


def test_power_off_that_omni_does_not_record_is_not_sent(bottle: Bottle, monkeypatch: pytest.MonkeyPatch) -> None:
    bottle.accepted()
    bottle.wiped()
    omni = Faltering(bottle, monkeypatch, times=1000, stores=False)
    assert run(power_off_task)[1].startswith("skipped: Omni cannot be reached")
    assert omni.faltered > 1
    assert bottle.bmc.commands == []


def test_machine_allocated_while_omni_faltered_is_not_powered_off(
    bottle: Bottle, monkeypatch: pytest.MonkeyPatch
) -> None:
    bottle.accepted()
    bottle.wiped()
    bottle.give(Kind.POWER_OPERATION, last_power_operation=PowerState.ON)
    monkeypatch.setattr(turn, "CONFIRMED_FOR_S", 0.0)
    update: Any = bottle.omni.update

    def slowly(kind: Kind, machine_id: str, *args: Any, **options: Any) -> Resource:
        bottle.omni.give(Kind.INFRA_MACHINE, MACHINE, cluster_talos_version="1.13.7", preferred_power_state=1)
        return update(kind, machine_id, *args, **options)  # type: ignore[no-any-return]

    monkeypatch.setattr(bottle.omni, "update", slowly)
    assert run(power_off_task)[1].startswith("skipped: not due")
    assert bottle.bmc.commands == []
    assert bottle.spec(Kind.POWER_OPERATION).last_power_operation == PowerState.ON


def test_machine_allocated_at_the_last_moment_is_not_powered_off(bottle: Bottle) -> None:
    bottle.accepted()
    bottle.wiped()
    bottle.omni.give(Kind.INFRA_MACHINE, MACHINE, cluster_talos_version="1.13.7")
    assert run(power_off_task)[1].startswith("skipped: not due")
    assert bottle.bmc.commands == []


@pytest.mark.parametrize("running", [True, GatewayUnreachable("no answer")])
def test_machine_that_a_gateway_may_be_wiping_is_left_on(bottle: Bottle, running: object) -> None:
    bottle.accepted()
    bottle.wiped()
    bottle.gateway.running = running
    assert "wiped" in run(power_off_task)[1]
    assert bottle.bmc.commands == []


def test_power_off_within_the_cooldown_is_skipped(bottle: Bottle) -> None:
    bottle.accepted()
    bottle.wiped()
    now = bottle.services.mirror.load(MACHINE).now
    bottle.omni.update(
        Kind.POWER_OPERATION, MACHINE, lambda d: d.spec.last_power_on_timestamp.FromDatetime(now), create=True
    )
    assert run(power_off_task)[1].startswith("skipped: not due")
    assert bottle.bmc.commands == []


def test_machine_in_the_wrong_mode_is_armed_and_rebooted_once(bottle: Bottle) -> None:
    bottle.accepted()
    bottle.no_agent()
    assert run(reboot_task)[0] == "SUCCESS"
    assert bottle.bmc.commands == ["pxe:uefi", "reboot"]
    assert bottle.spec(Kind.REBOOT_STATUS).HasField("last_reboot_timestamp")
    assert run(reboot_task)[1].startswith("skipped: not due")
    assert bottle.bmc.commands == ["pxe:uefi", "reboot"]


def test_reboot_is_recorded_before_it_is_sent(bottle: Bottle) -> None:
    in_cluster(bottle, installed=True)
    bottle.give(Kind.INFRA_MACHINE, requested_reboot_id="r1")
    bottle.bmc.fails["reboot"] = BmcUnreachable("timeout")
    run(reboot_task)
    assert bottle.spec(Kind.REBOOT_STATUS).last_reboot_id == "r1"
    bottle.bmc.fails.clear()
    run(reboot_task)
    assert bottle.bmc.commands == ["reboot"]


def test_reboots_that_change_nothing_are_parked(bottle: Bottle) -> None:
    bottle.accepted()
    bottle.no_agent()
    for _ in range(5):
        run(reboot_task, operation_id="x")
        bottle.services.mirror.remove(bottle.omni.stored.pop((Kind.REBOOT_STATUS, MACHINE)))  # the cooldown is over
    assert not bottle.attempts()["reboot"].parked
    state, words = run(reboot_task, operation_id="x")
    assert state == "FAILURE" and "did not bring the machine" in words
    assert bottle.attempts()["reboot"].parked
    assert bottle.bmc.commands.count("reboot") == 5


def test_machine_known_to_be_off_is_never_rebooted(bottle: Bottle) -> None:
    in_cluster(bottle, installed=True)
    bottle.give(Kind.INFRA_MACHINE, requested_reboot_id="r1")
    bottle.bmc.on = False
    assert run(reboot_task)[1].startswith("skipped: not due")
    assert bottle.bmc.commands == []


def test_pxe_is_armed_by_hand_only_for_a_machine_that_boots_from_the_network(bottle: Bottle) -> None:
    bottle.accepted()
    assert run(pxe_arm)[0] == "SUCCESS"
    assert bottle.bmc.commands == ["pxe:uefi"]
    bottle.wiped()
    bottle.give(Kind.INFRA_MACHINE, cluster_talos_version="1.13.7", install_event_id=1)
    assert run(pxe_arm)[1].startswith("skipped")
    assert bottle.bmc.commands == ["pxe:uefi"]


def test_reboot_that_was_never_sent_is_not_recorded(bottle: Bottle, monkeypatch: pytest.MonkeyPatch) -> None:
    in_cluster(bottle, installed=True)
    bottle.give(Kind.INFRA_MACHINE, requested_reboot_id="r1")

    def away(*_: object) -> None:
        raise redis.ConnectionError

    monkeypatch.setattr(type(bottle.services.power_notes), "acted", away)
    run(reboot_task)
    assert bottle.bmc.commands == []
    assert bottle.spec(Kind.REBOOT_STATUS).last_reboot_id == ""


@pytest.mark.parametrize("stores", [True, False])
def test_reboot_is_sent_once_though_omni_broke_off_amid_its_record(
    bottle: Bottle, monkeypatch: pytest.MonkeyPatch, stores: bool
) -> None:
    in_cluster(bottle, installed=True)
    bottle.give(Kind.INFRA_MACHINE, requested_reboot_id="r1")
    Faltering(bottle, monkeypatch, times=2, stores=stores)
    assert run(reboot_task)[0] == "SUCCESS"
    assert bottle.bmc.commands == ["reboot"]
    assert bottle.spec(Kind.REBOOT_STATUS).last_reboot_id == "r1"


def test_requested_reboot_whose_record_omni_never_confirms_is_a_failure_that_a_person_can_see(
    bottle: Bottle, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_cluster(bottle, installed=True)
    bottle.give(Kind.INFRA_MACHINE, requested_reboot_id="r1")
    Faltering(bottle, monkeypatch, times=1000, stores=True)
    state, words = run(reboot_task)
    assert state == "FAILURE" and "was not sent" in words and "ask for another reboot" in words
    assert bottle.bmc.commands == []
    assert bottle.services.history.read(MACHINE)[0].outcome == "failed"


@pytest.mark.parametrize("comes_back", [True, False])
def test_reboot_not_sent_for_an_omni_that_went_away_after_the_record_is_put_back_or_said(
    bottle: Bottle, monkeypatch: pytest.MonkeyPatch, comes_back: bool
) -> None:
    in_cluster(bottle, installed=True)
    bottle.give(Kind.INFRA_MACHINE, requested_reboot_id="r1")

    def away(_: Turn) -> None:
        Faltering(bottle, monkeypatch, times=2 if comes_back else 1000, stores=False)
        raise OmniUnavailable("Get", "infra_machine/m", "Socket closed")

    monkeypatch.setattr(Turn, "check_wish", away)
    state, words = run(reboot_task)
    assert bottle.bmc.commands == []
    if comes_back:
        assert words.startswith("skipped: Omni cannot be reached")
        assert bottle.spec(Kind.REBOOT_STATUS).last_reboot_id == ""
    else:
        assert state == "FAILURE" and "was not sent" in words and "ask for another reboot" in words


def test_copies_of_a_task_that_failed_wait_for_the_next_try(bottle: Bottle) -> None:
    in_cluster(bottle)
    bottle.bmc.on = False
    bottle.bmc.fails["on"] = BmcBusy("busy", executed=False)
    states = [run(power_on_task, operation_id="by the clock") for _ in range(3)]
    assert [state for state, _ in states] == ["FAILURE", "SUCCESS", "SUCCESS"]
    assert states[1][1].startswith("skipped: it has failed, and is tried again in ")
    assert bottle.bmc.commands.count("on") == 1
    assert run(power_on_task)[0] == "FAILURE"  # by hand, at once
    assert bottle.bmc.commands.count("on") == 2


def test_bmc_that_refuses_the_login_is_asked_once_in_an_attempt(bottle: Bottle) -> None:
    in_cluster(bottle, installed=True)
    bottle.give(Kind.INFRA_MACHINE, requested_reboot_id="r1")
    bottle.bmc.fails["status"] = BmcAuthenticationFailed("401")
    assert run(reboot_task)[0] == "FAILURE"
    assert bottle.bmc.log == ["status", "close"]


def test_reboot_that_redis_kept_from_being_sent_is_not_recorded(
    bottle: Bottle, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_cluster(bottle, installed=True)
    bottle.give(Kind.INFRA_MACHINE, requested_reboot_id="r1")

    def away(*_: object) -> None:
        raise redis.TimeoutError

    def written_as_redis_goes(kind: Kind, machine_id: str, *args: object, **options: object) -> Resource:
        resource: Resource = update(kind, machine_id, *args, **options)
        for part, method in ((Mirror, "put"), (PowerNotes, "acted"), (Leases, "fence")):
            monkeypatch.setattr(part, method, away)
        return resource

    update: Any = bottle.omni.update
    monkeypatch.setattr(bottle.omni, "update", written_as_redis_goes)
    assert run(reboot_task)[1].startswith("skipped: ")
    assert bottle.bmc.commands == []
    assert bottle.spec(Kind.REBOOT_STATUS).last_reboot_id == ""


@pytest.mark.parametrize(("later", "stands"), [(False, ""), (True, "r2")])
def test_reboot_not_sent_for_a_lost_lease_is_put_back_unless_another_was_recorded_since(
    bottle: Bottle, monkeypatch: pytest.MonkeyPatch, later: bool, stands: str
) -> None:
    in_cluster(bottle, installed=True)
    bottle.give(Kind.INFRA_MACHINE, requested_reboot_id="r1")

    def taken_over(turn: Turn) -> None:
        bottle.services.redis.delete(f"om:lease:{MACHINE}")
        bottle.services.leases.take(MACHINE, "reboot", "t2")
        if later:
            bottle.give(Kind.REBOOT_STATUS, last_reboot_id="r2")
        turn.guard.check()

    monkeypatch.setattr(Turn, "about_to_act", taken_over)
    assert run(reboot_task)[1].startswith("skipped: a later operation")
    assert bottle.bmc.commands == []
    assert bottle.spec(Kind.REBOOT_STATUS).last_reboot_id == stands


def test_woken_power_on_does_not_ask_anew_for_a_reboot_that_a_later_power_on_has_fulfilled(
    bottle: Bottle, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_cluster(bottle, installed=True)
    bottle.give(Kind.INFRA_MACHINE, requested_reboot_id="r1")
    bottle.bmc.on = False
    about_to_act, later = Turn.about_to_act, []

    def stands_still(turn: Turn) -> None:
        monkeypatch.setattr(Turn, "about_to_act", about_to_act)
        bottle.services.redis.delete(f"om:lease:{MACHINE}", "om:bmc:192.0.2.1:80")
        later.append(run(power_on_task))
        about_to_act(turn)

    monkeypatch.setattr(Turn, "about_to_act", stands_still)
    assert run(power_on_task)[1].startswith("skipped: a later operation")
    assert later[0][0] == "SUCCESS" and not later[0][1].startswith("skipped")
    assert bottle.bmc.commands == ["on"]
    assert bottle.spec(Kind.REBOOT_STATUS).last_reboot_id == "r1"
    assert bottle.spec(Kind.POWER_OPERATION).last_power_operation == PowerState.ON


def test_command_is_not_sent_where_the_machine_was_taken_while_the_act_was_noted(
    bottle: Bottle, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_cluster(bottle)
    bottle.bmc.on = False
    acted = PowerNotes.acted

    def stands_still(notes: PowerNotes, machine_id: str) -> None:
        acted(notes, machine_id)
        bottle.services.redis.delete(f"om:lease:{MACHINE}")
        bottle.services.leases.take(MACHINE, "power_on", "t2")

    monkeypatch.setattr(PowerNotes, "acted", stands_still)
    assert run(power_on_task)[1].startswith("skipped: a later operation")
    assert bottle.bmc.commands == ["pxe:uefi"]


def test_machine_whose_agent_lives_is_not_reset_for_an_old_reading(bottle: Bottle) -> None:
    bottle.accepted()
    bottle.services.power_notes.acted(MACHINE)
    time.sleep(0.005)
    bottle.agent()
    bottle.services.power_notes.observed({MACHINE: PowerState.OFF})  # a reading that came in late
    assert run(reboot_task)[1].startswith("skipped: not due")
    assert bottle.bmc.commands == []


def test_machine_that_joins_a_cluster_is_not_shown_as_parked_for_its_power_off(bottle: Bottle) -> None:
    bottle.accepted()
    bottle.wiped()
    for _ in range(5):
        bottle.bmc.fails["off"] = BmcRefused("no", executed=False)
        run(power_off_task, operation_id="x")
        bottle.pause_ends()
    attempts = bottle.attempts()
    assert attempts["power_off"].parked
    bottle.give(Kind.INFRA_MACHINE, cluster_talos_version="1.13.7", install_event_id=1)
    machine = bottle.services.mirror.load(MACHINE)
    assert obsolete(machine, decide(machine, DecideOptions()), attempts) == ("power_off",)


def test_bmc_that_refused_its_login_is_not_asked_again_until_a_person_says_so(bottle: Bottle) -> None:
    in_cluster(bottle)
    bottle.services.power_notes.observed({MACHINE: PowerState.OFF})
    bottle.bmc.fails["status"] = BmcAuthenticationFailed("401")
    run(power_on_task, operation_id="x")
    asked = list(bottle.bmc.log)
    run(power_on_task, operation_id="x")
    assert bottle.bmc.log == asked
    bottle.bmc.fails.clear()
    bottle.bmc.on = False
    assert run(power_on_task)[0] == "SUCCESS"
    assert bottle.bmc.commands == ["pxe:uefi", "on"]
