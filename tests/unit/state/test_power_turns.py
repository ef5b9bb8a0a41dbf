"""Turns to draw power: evenly spaced, in the order of asking, and none is lost to who does not use it."""

from __future__ import annotations

import itertools
from types import SimpleNamespace

import fakeredis
import pytest

from app.machine.model import Operation, OperationName
from app.state.lease import Leases
from app.state.limits import Limits
from app.state.mirror_keys import machine_key
from app.state.power_turns import CALLED, LINE, MOST_WAIT_MS, NEXT, PowerTurns
from app.state.waiting import powers_on
from config.settings import Settings

A, B, C, D = (f"4c4c4544-0042-3510-8051-00000000000{digit}" for digit in "abcd")


class Site:
    """A Redis whose clock we put; turns of six a minute, ten seconds apart."""

    def __init__(self) -> None:
        self.now_s = 1_800_000_000.0
        self.redis = fakeredis.FakeRedis()
        self.leases = Leases(self.redis)
        self.turns = PowerTurns(self.redis, 6)

    def ask(self, machine_id: str) -> float:
        """As the watcher does: the mark first, and off where it waits."""
        self.leases.mark_queued(machine_id, "power_on")
        wait_s = self.turns.ask(machine_id)
        if wait_s:
            self.leases.unmark_queued(machine_id)
        return wait_s

    def ends(self, machine_id: str) -> None:
        """Its task has ended."""
        self.leases.unmark_queued(machine_id)

    def sends(self, machine_id: str) -> float:
        """Its task sends the command, after so many seconds."""
        moment = self.turns.take(machine_id)
        assert moment.at_ms
        return moment.wait_s


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Site:
    site = Site()
    clock = SimpleNamespace(time=lambda: site.now_s)
    monkeypatch.setattr("fakeredis.commands_mixins.server_mixin.time", clock)
    return site


def test_machines_are_called_one_after_the_other_in_the_order_of_asking(site: Site) -> None:
    assert [site.ask(m) for m in (A, B, C)] == [0, 10, 20]
    site.sends(A)
    site.now_s += 7.9
    assert site.ask(C) > 0 and site.ask(B) > 0
    site.now_s += 0.1  # two seconds before its moment
    assert site.ask(B) == 0 and site.ask(C) == pytest.approx(12)


def test_commands_are_never_closer_than_the_pause_whoever_sends_them(site: Site) -> None:
    site.sends(A)
    site.now_s += 8
    assert site.sends(B) == pytest.approx(2)
    moment = site.turns.take(C)
    assert moment.at_ms == 0 and moment.wait_s == pytest.approx(12)
    site.now_s += 12
    assert site.sends(C) == 0


def test_called_machine_that_ends_without_a_command_has_used_no_turn(site: Site) -> None:
    assert site.ask(A) == 0
    assert site.ask(B) == 10
    site.ends(A)
    assert site.ask(B) == 0


def test_machine_that_is_at_work_keeps_its_turn(site: Site) -> None:
    assert site.ask(A) == 0
    site.leases.take(A, "power_on", "task")
    assert site.ask(B) == 10


def test_moment_that_is_not_used_is_given_back(site: Site) -> None:
    moment = site.turns.take(A)
    site.turns.give_back(moment)
    assert site.sends(B) == 0


def test_moment_after_which_another_was_taken_is_not_given_out_again(site: Site) -> None:
    first = site.turns.take(A)
    site.now_s += 6
    site.sends(B)
    site.turns.give_back(first)
    assert site.turns.take(C).at_ms == 0


def test_machine_that_does_not_ask_any_more_holds_up_nobody_for_long(site: Site) -> None:
    site.ask(A), site.ask(B), site.ask(C)
    site.sends(A)
    for _ in range(4):
        site.now_s += 30
        waits_s = site.ask(C)
    assert waits_s == 0  # B has left


def test_who_waits_says_until_when_on_its_page_and_no_more_once_it_is_called(site: Site) -> None:
    site.ask(A), site.ask(B)
    until_ms = int((site.now_s + 10) * 1000)
    assert site.redis.hget(machine_key(B), "f:turn") == f"{until_ms} 6".encode()
    assert site.redis.hget(machine_key(A), "f:turn") is None
    site.ends(A)
    site.ask(B)
    assert site.redis.hget(machine_key(B), "f:turn") is None


def test_clock_that_is_put_back_makes_nobody_wait_for_as_long(site: Site) -> None:
    site.ask(A), site.ask(B)
    site.sends(A)
    site.now_s -= 86_400
    site.ends(A)
    assert site.ask(B) <= 10 + MOST_WAIT_MS / 1000
    site.now_s += 20
    assert site.sends(B) == 0


def test_no_limit_asks_no_redis() -> None:
    turns = PowerTurns(fakeredis.FakeRedis(connected=False), 0)
    assert turns.ask(A) == 0
    moment = turns.take(A)
    assert moment.at_ms and moment.wait_s == 0
    turns.give_back(moment)


def test_forty_machines_are_called_evenly_and_all_of_them(site: Site) -> None:
    site.turns = PowerTurns(site.redis, 120)
    waiting = [f"4c4c4544-0042-3510-8051-{number:012}" for number in range(40)]
    sent_s: list[float] = []
    while waiting:
        called = [m for m in waiting if site.ask(m) == 0]
        for machine_id in called:
            sent_s.append(site.now_s + site.sends(machine_id))
            site.ends(machine_id)
        waiting = [m for m in waiting if m not in called]
        site.now_s += 1
    gaps_s = [later - earlier for earlier, later in itertools.pairwise(sent_s)]
    assert min(gaps_s) >= 0.499 and max(gaps_s) <= 1.001
    assert sent_s[-1] - sent_s[0] == pytest.approx(39 * 0.5, abs=2)
    assert site.redis.exists(LINE) == 0 and site.redis.exists(CALLED) == 0 and site.redis.exists(NEXT)


@pytest.mark.parametrize(
    ("operation", "counts"),
    [
        (Operation(OperationName.POWER_ON, ""), True),
        (Operation(OperationName.REBOOT, "", pxe=False), True),
        (Operation(OperationName.TEARDOWN, "", pxe=True), True),
        (Operation(OperationName.TEARDOWN, "", pxe=False), False),
        (Operation(OperationName.POWER_OFF, ""), False),
        (Operation(OperationName.WIPE, ""), False),
        (Operation(OperationName.PXE_ARM, "", pxe=True), False),
    ],
)
def test_only_what_makes_a_machine_draw_power_waits_for_a_turn(site: Site, operation: Operation, counts: bool) -> None:
    assert powers_on(operation) is counts
    limits, turns = Limits(site.redis, Settings(max_power_ons_per_minute=30)), PowerTurns(site.redis, 30)
    turns.take(A), turns.take(A)
    assert limits.wait(B, Operation(OperationName.POWER_ON, "")) is not None
    wait = limits.wait(B, operation)
    assert (wait is not None) is counts
    if wait is not None:
        assert "it waits for its turn: 30 power-ons a minute; about" in wait.words and 0 < wait.again_s <= 30


def test_limits_name_the_operations_that_they_may_hold_up(site: Site) -> None:
    assert Limits(site.redis, Settings()).limited == frozenset()
    settings = Settings(max_concurrent_wipes=2, max_power_ons_per_minute=30)
    expected = {OperationName.WIPE, OperationName.POWER_ON, OperationName.REBOOT}
    assert Limits(site.redis, settings).limited == expected
