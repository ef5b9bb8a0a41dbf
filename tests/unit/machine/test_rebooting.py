from dataclasses import replace

import pytest

from app.machine.decide import operation_id
from app.machine.model import OperationName, PowerOperation, RebootStatus
from tests.unit.machine.pictures import (
    ID,
    META,
    ON,
    allocated,
    at_rest,
    decided,
    due,
    operation,
    powered_on_ago,
    reasons,
    rebooted_ago,
    seen,
    wiping,
    wish,
)

REBOOT = OperationName.REBOOT
ACKNOWLEDGED = PowerOperation(META, last_power_off_id="p1", wipe_id_at_power_off="w1")


@pytest.mark.parametrize(
    ("machine", "due_now"),
    [
        (wiping(on=True, agent=False), True),
        (wiping(on=None, agent=False), True),
        (wiping(on=True, agent=None), False),
        (wiping(on=True, agent=True), False),
        (wiping(on=False, agent=False), False),
        (allocated(agent=True), True),
        (allocated(on=None, agent=True), True),
        (allocated(agent=None), False),
        (allocated(agent=False), False),
        (allocated(agent=True, installs=1), False),
        (allocated(agent=False, installs=1), False),
        (seen(wish(at_rest(), install_event_id=1), True, False), True),
        (seen(at_rest(), True, False), False),
        (wish(seen(at_rest(), True, False), preferred_power_state=ON), False),
        (replace(wiping(agent=False), machine_status=None), False),
        (replace(wiping(agent=False), bmc_configuration=None), False),
    ],
)
def test_wrong_mode_is_rebooted_into_the_right_one(machine, due_now):
    assert (REBOOT in due(machine)) is due_now
    if due_now:
        found = operation(machine, REBOOT)
        assert found.wrong_mode
        assert found.pxe is True


@pytest.mark.parametrize(
    ("machine", "due_now"),
    [
        (allocated(installs=1), True),
        (allocated(on=None, installs=1), True),
        (allocated(agent=None), True),
        (seen(at_rest(), True, False), True),
        (replace(allocated(installs=1), machine_status=None), False),
        (replace(allocated(installs=1), bmc_configuration=None), False),
    ],
)
def test_requested_reboot_is_due(machine, due_now):
    machine = wish(machine, requested_reboot_id="r1")
    assert (REBOOT in due(machine)) is due_now
    if due_now:
        assert not operation(machine, REBOOT).wrong_mode


@pytest.mark.parametrize(
    ("requested", "last", "due_now"),
    [("r1", "", True), ("r2", "r1", True), ("r1", "r1", False), ("", "r1", False), ("", "", False)],
)
def test_requested_reboot_is_done_once_and_not_when_the_id_is_emptied(requested, last, due_now):
    machine = wish(allocated(installs=1), requested_reboot_id=requested)
    assert (REBOOT in due(replace(machine, reboot_status=RebootStatus(META, last)))) is due_now


def test_requested_reboot_of_installed_talos_boots_the_disk():
    assert operation(wish(allocated(installs=1), requested_reboot_id="r1"), REBOOT).pxe is False


def test_requested_reboot_while_a_wipe_is_due_boots_the_network():
    machine = wish(allocated(agent=True, installs=1), requested_reboot_id="r1", wipe_id="w2")
    assert due(machine) == ["wipe", "reboot"]
    assert operation(machine, REBOOT).pxe is True


@pytest.mark.parametrize("machine", [wiping(agent=False), wish(allocated(installs=1), requested_reboot_id="r1")])
@pytest.mark.parametrize("stamp", [powered_on_ago, rebooted_ago])
@pytest.mark.parametrize(("ago_s", "wait_s"), [(0, 900), (890, 10), (900, None), (-5, 900)])
def test_cooldown_holds_both_kinds(machine, stamp, ago_s, wait_s):
    decision = decided(stamp(machine, ago_s))
    assert decision.wait_s == wait_s
    assert [o.name for o in decision.operations] == ([] if wait_s else ["reboot"])


@pytest.mark.parametrize("acknowledged", [True, False])
@pytest.mark.parametrize("machine", [allocated(agent=True), wish(allocated(installs=1), requested_reboot_id="r1")])
def test_power_off_request_holds_the_reboot_back(machine, acknowledged):
    machine = wish(machine, power_off_request_id="p1")
    machine = replace(machine, power_operation=ACKNOWLEDGED if acknowledged else None)
    assert due(machine) == ([] if acknowledged else ["acknowledge_power_off"])
    assert "Omni powers it down" in reasons(machine)


def test_requested_reboot_of_a_machine_that_is_off_is_fulfilled_by_the_power_on():
    machine = wish(allocated(on=False, installs=1), requested_reboot_id="r1")
    assert due(machine) == ["power_on"]
    assert "fulfils it" in reasons(machine)


def test_requested_reboot_of_a_machine_that_stays_off_is_acknowledged():
    assert due(wish(at_rest(), requested_reboot_id="r1")) == ["acknowledge_reboot"]


def test_requested_reboot_of_a_machine_that_omni_powered_off_is_acknowledged():
    machine = wish(allocated(on=False, installs=1), requested_reboot_id="r1", power_off_request_id="p1")
    assert due(machine) == ["acknowledge_power_off", "acknowledge_reboot"]
    assert due(replace(machine, power_operation=ACKNOWLEDGED)) == ["acknowledge_reboot"]


def test_acknowledged_reboot_is_done():
    machine = wish(at_rest(), requested_reboot_id="r1")
    assert due(replace(machine, reboot_status=RebootStatus(META, "r1"))) == []


@pytest.mark.parametrize("change", [{"bmc_configuration": None}, {"machine_status": None}])
def test_reboot_is_not_acknowledged_before_the_machine_is_known(change):
    assert due(replace(wish(at_rest(), requested_reboot_id="r1"), **change)) == []


def test_acknowledging_knows_no_cooldown():
    assert due(powered_on_ago(wish(at_rest(), requested_reboot_id="r1"), 1)) == ["acknowledge_reboot"]


def test_idle_machine_with_a_requested_reboot_is_powered_off_first():
    assert due(wish(seen(at_rest(), True, False), requested_reboot_id="r1")) == ["power_off", "reboot"]


@pytest.mark.parametrize(
    ("machine", "change"),
    [
        (wiping(agent=False), {"wipe_id": "w3"}),
        (allocated(agent=True), {"cluster_talos_version": "1.13.8"}),
        (allocated(agent=True), {"requested_reboot_id": "r1"}),
        (wish(allocated(installs=1), requested_reboot_id="r1"), {"requested_reboot_id": "r2"}),
    ],
)
def test_cause_changes_with_what_makes_it_due(machine, change):
    before, after = operation(machine, REBOOT), operation(wish(machine, **change), REBOOT)
    assert operation_id(ID, before) != operation_id(ID, after)


def test_cause_of_a_requested_reboot_is_its_id_alone():
    machine = wish(allocated(installs=1), requested_reboot_id="r1")
    before = operation(machine, REBOOT)
    after = operation(wish(machine, wipe_id="w2", cluster_talos_version="1.14.0"), REBOOT)
    assert operation_id(ID, before) == operation_id(ID, after)


def test_cause_does_not_change_with_what_we_write():
    before = operation(wiping(agent=False), REBOOT)
    after = operation(rebooted_ago(replace(wiping(agent=False), wipe_status=None), 1000), REBOOT)
    assert operation_id(ID, before) == operation_id(ID, after)


@pytest.mark.parametrize(
    ("machine", "words"),
    [
        (wiping(agent=None), "not known yet whether the agent is accessible"),
        (wiping(agent=False), "the agent is not accessible: it must be rebooted"),
        (allocated(agent=True), "the agent still runs: it must be rebooted"),
        (allocated(agent=False), "runs as it should (talos-pxe)"),
        (allocated(installs=1), "nobody asked for one"),
        (
            replace(wish(allocated(installs=1), requested_reboot_id="r1"), reboot_status=RebootStatus(META, "r1")),
            'none was asked for since "r1"',
        ),
        (wish(allocated(installs=1), requested_reboot_id="r1"), 'asks for the reboot "r1"'),
    ],
)
def test_reasons_say_why(machine, words):
    assert words in reasons(machine)
