from dataclasses import replace

import pytest

from app.machine.decide import operation_id
from app.machine.model import OperationName, PowerOperation, PowerState
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

ACKNOWLEDGED = PowerOperation(META, PowerState.OFF, None, "p1", "w1")


def idle(on):
    return seen(at_rest(), on, False)


@pytest.mark.parametrize(
    ("machine", "due_now"),
    [
        (at_rest(), []),
        (wish(at_rest(), preferred_power_state=ON), ["power_on"]),
        (allocated(on=False), ["power_on"]),
        (allocated(on=False, installs=1), ["power_on"]),
        (wish(at_rest(), install_event_id=1), ["power_on"]),
        (wiping(on=False), ["power_on"]),
        (replace(at_rest(), wipe_status=None), ["power_on"]),
        (replace(wiping(on=False), machine_status=None), ["power_on"]),
        (replace(wiping(on=False), bmc_configuration=None), []),
        (allocated(on=None, agent=False), []),
        (wish(idle(None), preferred_power_state=ON), []),
        (wish(idle(True), preferred_power_state=ON), []),
    ],
)
def test_power_on_is_due_when_off_and_wanted(machine, due_now):
    assert [name for name in due(machine) if name.startswith("power")] == due_now


def test_power_on_knows_no_cooldown():
    assert due(powered_on_ago(wiping(on=False), 1)) == ["power_on"]


@pytest.mark.parametrize(
    ("machine", "pxe"),
    [
        (wiping(on=False), True),
        (allocated(on=False), True),
        (allocated(on=False, installs=1), False),
        (wish(allocated(on=False, installs=1), wipe_id="w2"), True),
        (wish(at_rest(), preferred_power_state=ON), True),
    ],
)
def test_power_on_arms_pxe_unless_it_boots_its_disk(machine, pxe):
    assert operation(machine, OperationName.POWER_ON).pxe is pxe


def test_power_off_request_is_acknowledged_and_holds_the_power_on_back():
    machine = wish(allocated(on=False, installs=1), power_off_request_id="p1")
    assert due(machine) == ["acknowledge_power_off"]


def test_power_off_request_acknowledged_holds_the_power_on_back():
    machine = wish(allocated(on=False, installs=1), power_off_request_id="p1")
    machine = replace(machine, power_operation=ACKNOWLEDGED)
    assert due(machine) == []
    assert decided(machine).power_off_active
    assert "Omni asked for that" in reasons(machine)


@pytest.mark.parametrize(
    ("request_id", "wipe_id"),
    [("", "w1"), ("p1", "w2")],
)
def test_power_off_request_over_the_machine_is_powered_on(request_id, wipe_id):
    machine = wish(allocated(on=False, installs=1), power_off_request_id=request_id, wipe_id=wipe_id)
    assert due(replace(machine, power_operation=ACKNOWLEDGED)) == ["power_on"]


def test_power_off_request_new_one_is_acknowledged_anew():
    machine = wish(allocated(installs=1), power_off_request_id="p2")
    assert due(replace(machine, power_operation=ACKNOWLEDGED)) == ["acknowledge_power_off"]


def test_power_off_request_without_bmc_waits():
    machine = replace(wish(allocated(), power_off_request_id="p1"), bmc_configuration=None)
    assert due(machine) == []


@pytest.mark.parametrize("on", [True, False, None])
def test_power_off_request_needs_no_power_state(on):
    machine = wish(allocated(on=on, installs=1), power_off_request_id="p1")
    assert due(machine) == ["acknowledge_power_off"]


@pytest.mark.parametrize(
    ("machine", "due_now"),
    [
        (idle(True), True),
        (idle(False), False),
        (idle(None), False),
        (seen(at_rest(), True, True), True),
        (seen(at_rest(), True, None), True),
        (replace(idle(True), machine_status=None), True),
        (replace(idle(True), bmc_configuration=None), False),
        (wish(idle(True), preferred_power_state=ON), False),
        (wish(idle(True), cluster_talos_version="1.13.7"), False),
        (wish(idle(True), install_event_id=1), False),
        (wish(idle(True), wipe_id="w2"), False),
    ],
)
def test_power_off_is_due_when_on_and_nothing_needs_it(machine, due_now):
    assert ("power_off" in due(machine)) is due_now


@pytest.mark.parametrize("stamp", [powered_on_ago, rebooted_ago])
@pytest.mark.parametrize(
    ("ago_s", "wait_s"),
    [(0, 900), (300, 600), (899.5, 0.5), (900, None), (901, None), (-60, 900), (-86400, 900)],
)
def test_power_off_waits_for_the_rest_of_the_interval(stamp, ago_s, wait_s):
    decision = decided(stamp(idle(True), ago_s))
    assert decision.wait_s == wait_s
    assert [o.name for o in decision.operations] == ([] if wait_s else ["power_off"])


def test_power_off_the_later_of_both_stamps_counts():
    assert decided(rebooted_ago(powered_on_ago(idle(True), 1000), 100)).wait_s == 800
    assert decided(powered_on_ago(rebooted_ago(idle(True), 1000), 100)).wait_s == 800


def test_power_off_stamp_of_a_clock_that_stood_wrong_is_not_believed():
    far = 400 * 86400
    assert due(powered_on_ago(idle(True), -far)) == ["power_off"]
    assert decided(rebooted_ago(powered_on_ago(idle(True), -far), 100)).wait_s == 800


def test_power_off_without_interval_is_due_at_once():
    assert decided(powered_on_ago(idle(True), 0), min_reboot_interval_s=0).wait_s is None


def test_wait_says_how_long():
    assert "13 min 20 s" in reasons(powered_on_ago(idle(True), 100))


def test_power_unknown_says_so():
    assert "power state is not known" in reasons(idle(None))


@pytest.mark.parametrize(
    ("machine", "name", "change"),
    [
        (wiping(on=False), OperationName.POWER_ON, {"wipe_id": "w3"}),
        (allocated(on=False), OperationName.POWER_ON, {"cluster_talos_version": "1.13.8"}),
        (wiping(on=False), OperationName.POWER_ON, {"preferred_power_state": ON}),
        (wiping(on=False), OperationName.POWER_ON, {"requested_reboot_id": "r1"}),
        (
            wish(allocated(), power_off_request_id="p1"),
            OperationName.ACKNOWLEDGE_POWER_OFF,
            {"power_off_request_id": "p2"},
        ),
    ],
)
def test_cause_changes_with_what_makes_it_due(machine, name, change):
    before, after = operation(machine, name), operation(wish(machine, **change), name)
    assert operation_id(ID, before) != operation_id(ID, after)


def test_cause_does_not_change_with_what_we_write():
    machine = wiping(on=False)
    before = operation(machine, OperationName.POWER_ON)
    after = operation(rebooted_ago(powered_on_ago(replace(machine, wipe_status=None), 10), 10), OperationName.POWER_ON)
    assert operation_id(ID, before) == operation_id(ID, after)
