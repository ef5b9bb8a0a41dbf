from dataclasses import replace

import pytest

from app.machine.model import OperationName, WipeStatus
from tests.unit.machine.pictures import META, allocated, at_rest, decided, due, operation, reasons, seen, wiping, wish


@pytest.mark.parametrize(
    ("machine", "due_now"),
    [
        (wiping(agent=True), True),
        (wiping(agent=False), False),
        (wiping(agent=None), False),
        (wiping(on=None, agent=True), True),
        (wiping(on=False, agent=True), False),
        (replace(wiping(), machine_status=None), False),
        (replace(wiping(), bmc_configuration=None), True),
        (replace(seen(at_rest(), True, True), wipe_status=None), True),
        (replace(seen(at_rest(), True, True), wipe_status=WipeStatus(META, "w1")), True),
        (seen(at_rest(), True, True), False),
        (allocated(agent=True), False),
        (wish(allocated(agent=True, installs=2), wipe_id="w2"), True),
    ],
)
def test_wipe_is_due_when_needed_and_an_agent_is_known_to_be_there(machine, due_now):
    assert ("wipe" in due(machine)) is due_now


def test_wipe_cause_is_the_wipe_id_alone():
    first, again = wiping(), replace(wiping(), wipe_status=None)
    assert operation(first, OperationName.WIPE).cause == operation(again, OperationName.WIPE).cause == ("w2",)


@pytest.mark.parametrize(
    ("machine", "words"),
    [
        (wiping(), 'Omni wants the wipe "w2", the last one was "w1"'),
        (replace(wiping(), wipe_status=None), "never been wiped by us"),
        (replace(wiping(), wipe_status=WipeStatus(META)), "their first wipe is not done"),
        (wiping(agent=False), "but the agent is not accessible"),
        (wiping(agent=None), 'last one was "w1"), but it is not known yet whether the agent is accessible'),
        (replace(wiping(), machine_status=None), "has not been seen yet"),
        (at_rest(), 'No wipe is due: the disks were wiped for "w1"'),
    ],
)
def test_wipe_reasons_say_why(machine, words):
    assert words in reasons(machine)


def test_wipe_comes_before_power_and_after_the_bmc():
    machine = wish(replace(wiping(), bmc_configuration=None), power_off_request_id="p1")
    assert due(machine) == ["configure_bmc", "wipe"]
    assert decided(machine).requires_wipe


def test_reason_of_a_strange_id_is_one_short_line():
    found = reasons(wish(wiping(), wipe_id="w\n\x1b[31m" + "x" * 500))
    assert "\x1b" not in found
    assert all(len(line) < 250 for line in found.splitlines())
