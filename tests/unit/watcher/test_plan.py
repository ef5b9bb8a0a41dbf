"""Which reports wait for the end of a short operation, and which never do."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from app.machine.model import (
    Acceptance,
    BmcConfiguration,
    DecideOptions,
    Facts,
    InfraMachine,
    InfraMachineStatus,
    Machine,
    MachineStatus,
    OperationName,
    PowerState,
    WipeStatus,
)
from app.state.facts import Notes
from app.watcher.plan import REPORT_WAIT_S, Sight, plan

NOW = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
NOW_MS = int(NOW.timestamp() * 1000)
WIPED = WipeStatus(initial_wipe_done=True)
BMC = BmcConfiguration(api_address="192.0.2.1:80")
OPTIONS = DecideOptions(min_reboot_interval_s=0)


def machine(**fields):
    made = Machine(
        id="m1",
        now=NOW,
        facts=Facts(powered_on=True, agent_accessible=True),
        infra_machine=InfraMachine(acceptance_status=Acceptance.ACCEPTED),
        machine_status=MachineStatus(agent_accessible=True, power_state=PowerState.UNKNOWN),
    )
    return replace(made, **fields)


def seen(picture, *, busy_for_s=None, **options):
    busy, since_ms = busy_for_s is not None, NOW_MS - int((busy_for_s or 0) * 1000)
    notes = Notes(power=PowerState.ON, power_ms=NOW_MS, hello_ms=NOW_MS)
    return plan(Sight(picture, notes, busy, {}, since_ms), OPTIONS, {}, **options)


def test_short_operation_starts_its_reports_wait():
    made = seen(machine())
    assert made.starts.name is OperationName.CONFIGURE_BMC
    assert (made.status, made.report, made.late_s) == (None, None, REPORT_WAIT_S)


def test_short_operation_runs_the_rest_of_the_wait_is_left():
    made = seen(machine(), busy_for_s=5)
    assert (made.status, made.report) == (None, None)
    assert made.late_s == pytest.approx(REPORT_WAIT_S - 5)
    assert made.writes_nothing()


def test_short_operation_runs_too_long_reports_are_written():
    made = seen(machine(), busy_for_s=REPORT_WAIT_S)
    assert made.status.power_state is PowerState.ON
    assert made.report.status.power_state is PowerState.ON
    assert made.late_s is None


def test_wipe_starts_its_reports_wait_unless_it_may_have_to():
    picture = machine(bmc_configuration=BMC)
    waiting, bounded = seen(picture), seen(picture, limited={OperationName.WIPE})
    assert waiting.starts.name is bounded.starts.name is OperationName.WIPE
    assert (waiting.status, waiting.report, waiting.late_s) == (None, None, REPORT_WAIT_S)
    assert bounded.status and bounded.report and bounded.late_s is None


def test_machine_status_that_is_missing_is_made_at_once():
    made = seen(machine(machine_status=None), busy_for_s=1)
    assert made.status is None  # neither a tunnel nor a boot was seen
    tunnelled = Notes(power=PowerState.ON, power_ms=NOW_MS, booted_ms=NOW_MS)
    assert plan(Sight(machine(machine_status=None), tunnelled, True, {}, NOW_MS), OPTIONS, {}).status


def test_ready_is_told_although_a_power_off_starts():
    picture = machine(bmc_configuration=BMC, wipe_status=WIPED, infra_machine_status=InfraMachineStatus())
    made = seen(picture)
    assert made.starts.name is OperationName.POWER_OFF
    assert made.report.status.ready_to_use and made.report.status.power_state is PowerState.ON
    assert made.status is None and made.late_s == REPORT_WAIT_S


def test_power_alone_waits_for_the_power_off_that_runs():
    before = InfraMachineStatus(ready_to_use=True)
    picture = machine(bmc_configuration=BMC, wipe_status=WIPED, infra_machine_status=before)
    assert seen(picture, busy_for_s=1).report is None


def test_changed_label_is_told_although_an_operation_runs():
    picture = machine(infra_machine_status=InfraMachineStatus())
    notes = Notes(power=PowerState.ON, power_ms=NOW_MS)
    made = plan(Sight(picture, notes, True, {}, NOW_MS), OPTIONS, {"rack": "r1"})
    assert made.report.labels == {"rack": "r1"}
