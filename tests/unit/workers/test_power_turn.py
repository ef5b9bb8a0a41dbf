"""`--max-power-ons-per-minute` in the tasks: a turn is used up only by a command that is or may have been sent."""

from __future__ import annotations

import time
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from app.machine.model import Phase, PowerState
from app.omni.kinds import Kind
from app.state.connection import now_ms
from app.state.power_turns import NEXT, PowerTurns
from tests.unit.workers.conftest import MACHINE, Bottle
from workers import power
from workers import services as worker_services
from workers.bmc.errors import BmcBusy, BmcRefused, BmcUnreachable
from workers.power import power_off_task, power_on_task
from workers.reboot import reboot_task
from workers.teardown import teardown_task

OTHER = "4c4c4544-0042-3510-8051-000000000000"


@pytest.fixture
def slept(bottle: Bottle, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Six power-ons a minute; what tasks have slept for their turn."""
    found: list[float] = []
    clock = SimpleNamespace(sleep=found.append, monotonic=time.monotonic)
    monkeypatch.setattr("workers.power_turn.time", clock)
    monkeypatch.setattr(power, "REACHED_WITHIN_S", 0.05)
    bottle.services = replace(bottle.services, power_turns=PowerTurns(bottle.services.redis, 6))
    worker_services.use(bottle.services)
    return found


def run(task: Any, **kwargs: str) -> tuple[str, str]:
    result = task.apply(kwargs={"machine_id": MACHINE, **kwargs})
    return result.state, str(result.result)


def off_in_cluster(bottle: Bottle) -> None:
    """A machine that is to be powered on."""
    bottle.accepted(cluster_talos_version="1.13.7", install_event_id=1)
    bottle.wiped()
    bottle.bmc.on = False


def to_be_rebooted(bottle: Bottle) -> None:
    """A machine that runs, and is to be rebooted on request."""
    bottle.accepted(cluster_talos_version="1.13.7", install_event_id=1, requested_reboot_id="r1")
    bottle.wiped()
    bottle.no_agent()


def removed(bottle: Bottle) -> None:
    """A machine in Talos that the operator removed."""
    bottle.accepted(cluster_talos_version="1.13.7", install_event_id=1)
    bottle.wiped()
    bottle.no_agent()
    bottle.services.mirror.put(bottle.omni.give(Kind.INFRA_MACHINE, MACHINE, phase=Phase.TEARING_DOWN))


def used(bottle: Bottle) -> bool:
    """Whether a turn was used up, so that the next one is to come."""
    return bottle.services.power_turns.take(OTHER).at_ms == 0


CASES = [(off_in_cluster, power_on_task), (to_be_rebooted, reboot_task), (removed, teardown_task)]


@pytest.mark.parametrize(("prepare", "task"), CASES)
def test_command_uses_up_a_turn(bottle: Bottle, slept: list[float], prepare: Any, task: Any) -> None:
    prepare(bottle)
    assert run(task)[0] == "SUCCESS"
    assert bottle.bmc.commands[-1] in ("on", "reboot") and sum(slept) == 0
    assert used(bottle)


@pytest.mark.parametrize(("prepare", "task"), CASES)
def test_turn_that_is_far_off_is_said_and_nothing_is_sent_recorded_or_counted(
    bottle: Bottle, slept: list[float], prepare: Any, task: Any
) -> None:
    prepare(bottle)
    bottle.services.power_turns.take(OTHER)
    stood = dict(bottle.omni.stored)
    state, words = run(task)
    assert state == "SUCCESS" and words.startswith("skipped: it waits for its turn: 6 power-ons a minute; about ")
    assert {"on", "reboot"}.isdisjoint(bottle.bmc.commands) and slept == []
    assert bottle.omni.stored == stood and bottle.attempts() == {}
    (entry,) = bottle.services.history.read(MACHINE)
    assert entry.outcome == "skipped" and "it waits for its turn" in entry.words


def test_turn_that_comes_within_seconds_is_waited_for(bottle: Bottle, slept: list[float]) -> None:
    off_in_cluster(bottle)
    bottle.services = replace(bottle.services, power_turns=PowerTurns(bottle.services.redis, 20))
    worker_services.use(bottle.services)
    bottle.services.power_turns.take(OTHER)
    assert run(power_on_task) == ("SUCCESS", "powered on")
    assert slept == [pytest.approx(3, abs=0.5)]


@pytest.mark.parametrize("case", CASES[:2])
@pytest.mark.parametrize(
    ("error", "uses"),
    [
        (BmcRefused("no", executed=False), False),
        (BmcBusy("full", executed=False), False),
        (BmcUnreachable("no answer", executed=None), True),
    ],
)
def test_command_that_was_surely_not_carried_out_gives_its_turn_back(
    bottle: Bottle, slept: list[float], case: tuple[Any, Any], error: Exception, uses: bool
) -> None:
    prepare, task = case
    prepare(bottle)
    bottle.bmc.fails["on"] = bottle.bmc.fails["reboot"] = error
    assert run(task)[0] == "FAILURE"
    assert used(bottle) is uses


def test_omni_that_does_not_record_the_command_costs_no_turn(
    bottle: Bottle, slept: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    off_in_cluster(bottle)
    monkeypatch.setattr(power, "RECORDED_WITHIN_S", 0.0)
    get = bottle.omni.get

    def last_answer(kind: Kind, machine_id: str) -> Any:
        found = get(kind, machine_id)
        bottle.omni.away = kind is power.CONFIRMS[-1]
        return found

    monkeypatch.setattr(bottle.omni, "get", last_answer)
    assert run(power_on_task)[1].startswith("skipped: Omni cannot be reached")
    assert bottle.bmc.commands == []
    assert not used(bottle)


@pytest.mark.parametrize(("prepare", "task"), CASES[:2])
@pytest.mark.parametrize("taken", [False, True])
def test_moment_that_passes_while_omni_falters_is_no_good_for_the_command(
    bottle: Bottle, monkeypatch: pytest.MonkeyPatch, slept: list[float], prepare: Any, task: Any, *, taken: bool
) -> None:
    prepare(bottle)
    before = {kind: bottle.omni.stored.get((kind, MACHINE)) for kind in (Kind.POWER_OPERATION, Kind.REBOOT_STATUS)}
    clock = SimpleNamespace(now_s=0.0)
    monkeypatch.setattr("workers.power_turn.time", SimpleNamespace(sleep=slept.append, monotonic=lambda: clock.now_s))
    update: Any = bottle.omni.update

    def slow(kind: Kind, *args: Any, **options: Any) -> Any:
        if clock.now_s == 0 and kind in before:
            clock.now_s = 3.0
            now = now_ms(bottle.services.redis)  # as if the time for the next had come, and it had been taken or not
            bottle.services.redis.set(NEXT, now + 9_000 if taken else now - 1)
        return update(kind, *args, **options)

    monkeypatch.setattr(bottle.omni, "update", slow)
    words = run(task)[1]
    if not taken:
        assert bottle.bmc.commands[-1] in ("on", "reboot")
        assert used(bottle)
        return
    assert words.startswith("skipped: it waits for its turn") and {"on", "reboot"}.isdisjoint(bottle.bmc.commands)
    for kind, stood in before.items():
        stands = bottle.omni.stored.get((kind, MACHINE))
        assert stands is None or stands.spec == (stood.spec if stood else type(stands.spec)())


def test_power_off_waits_for_no_turn(bottle: Bottle, slept: list[float]) -> None:
    bottle.accepted()
    bottle.wiped()
    bottle.no_agent()
    bottle.services.power_turns.take(OTHER)
    bottle.services.power_notes.observed({MACHINE: PowerState.ON})
    assert run(power_off_task) == ("SUCCESS", "powered off")


def test_machine_that_is_on_already_takes_no_turn(bottle: Bottle, slept: list[float]) -> None:
    off_in_cluster(bottle)
    bottle.bmc.on = True
    assert "not due" in run(power_on_task)[1]
    assert bottle.services.redis.exists(NEXT) == 0


def test_no_limit_leaves_no_trace_in_redis(bottle: Bottle) -> None:
    off_in_cluster(bottle)
    assert run(power_on_task)[0] == "SUCCESS"
    assert bottle.services.redis.keys("om:power-turns*") == []
