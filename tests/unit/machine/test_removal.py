from dataclasses import replace

import pytest

from app.machine.model import (
    Acceptance,
    InfraMachineStatus,
    OperationName,
    PowerOperation,
    RebootStatus,
)
from tests.unit.machine.pictures import (
    GOING,
    META,
    allocated,
    at_rest,
    decided,
    due,
    operation,
    powered_on_ago,
    reasons,
    seen,
    wish,
)

TEARDOWN = OperationName.TEARDOWN
REMOVED = wish(allocated(on=True, agent=False, installs=1), meta=GOING)


@pytest.mark.parametrize(
    ("machine", "reboots"),
    [
        (REMOVED, True),
        (seen(REMOVED, None, False), True),
        (seen(REMOVED, False, False), False),
        (seen(REMOVED, True, True), False),
        (replace(REMOVED, bmc_configuration=None), False),
        (replace(REMOVED, machine_status=None), False),
        (powered_on_ago(REMOVED, 1), True),
        (wish(REMOVED, acceptance_status=Acceptance.PENDING), True),
    ],
)
def test_teardown_reboots_a_running_machine_into_the_agent(machine, reboots):
    assert due(machine) == ["teardown"]
    assert operation(machine, TEARDOWN).pxe is reboots
    assert decided(machine).wait_s is None


@pytest.mark.parametrize("record", ["bmc_configuration", "machine_status", "wipe_status", "power", "reboot"])
def test_teardown_that_has_begun_does_not_reboot_again(record):
    if record == "power":
        machine = replace(REMOVED, power_operation=PowerOperation(GOING))
    elif record == "reboot":
        machine = replace(REMOVED, reboot_status=RebootStatus(GOING))
    else:
        machine = replace(REMOVED, **{record: replace(getattr(REMOVED, record), meta=GOING)})
    assert operation(machine, TEARDOWN).pxe is False


def test_teardown_with_running_records_reboots():
    records = {"reboot_status": RebootStatus(META), "infra_machine_status": InfraMachineStatus(META)}
    assert operation(replace(REMOVED, **records), TEARDOWN).pxe is True


@pytest.mark.parametrize("on", [True, None])
def test_teardown_waits_while_the_agent_is_not_known(on):
    machine = seen(REMOVED, on, None)
    assert due(machine) == []
    assert "the teardown waits" in reasons(machine)


def test_teardown_of_a_machine_that_is_off_does_not_wait_for_an_agent():
    assert due(seen(REMOVED, False, None)) == ["teardown"]


def test_teardown_of_a_machine_never_seen_is_due():
    machine = replace(wish(at_rest(), meta=GOING), bmc_configuration=None, machine_status=None, wipe_status=None)
    assert operation(machine, TEARDOWN).pxe is False
