"""The cooldown where the clock was put forward or back: neither cut short nor longer than itself."""

from dataclasses import replace
from datetime import timedelta

import pytest

from app.machine.cooldown import cooldown_left_s
from tests.unit.machine.pictures import NOW, at_rest, powered_on_ago, rebooted_ago

HOUR_S = 3600
INTERVAL_S = 900


def stepped(machine, ago_s):
    return replace(machine, facts=replace(machine.facts, clock_stepped=NOW - timedelta(seconds=ago_s)))


@pytest.mark.parametrize("stamp", [powered_on_ago, rebooted_ago])
@pytest.mark.parametrize(
    ("powered_on_ago_s", "stepped_ago_s", "left_s"),
    [
        (HOUR_S + 10, 5, INTERVAL_S - 5),  # put forward by an hour 5 s ago
        (HOUR_S + 10, INTERVAL_S, 0),
        (-HOUR_S + 10, 5, INTERVAL_S - 5),  # put back by an hour 5 s ago
        (-HOUR_S + 10, INTERVAL_S, 0),
        (10, 60, INTERVAL_S - 10),  # powered on after the step
        (INTERVAL_S, INTERVAL_S + 1, 0),
        (5 * HOUR_S, 0, INTERVAL_S),
    ],
)
def test_interval_counts_from_the_step_where_the_power_on_was_before(stamp, powered_on_ago_s, stepped_ago_s, left_s):
    machine = stepped(stamp(at_rest(), powered_on_ago_s), stepped_ago_s)
    assert cooldown_left_s(machine, INTERVAL_S) == left_s


def test_machine_that_was_never_powered_on_has_no_cooldown_after_a_step():
    assert cooldown_left_s(stepped(at_rest(), 1), INTERVAL_S) == 0


def test_power_on_ahead_of_a_clock_that_nobody_saw_step_counts_as_just_done():
    assert cooldown_left_s(powered_on_ago(at_rest(), -10), INTERVAL_S) == INTERVAL_S
