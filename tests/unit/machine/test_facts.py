from dataclasses import replace

import pytest

from app.machine import facts
from app.machine.model import (
    Acceptance,
    BootMode,
    Gate,
    InfraMachineStatus,
    PowerOperation,
    PowerState,
    WipeStatus,
)
from tests.unit.machine.pictures import GOING, META, allocated, at_rest, lost, seen, wish

AGENT, TALOS, DISK = BootMode.AGENT_PXE, BootMode.TALOS_PXE, BootMode.TALOS_DISK
UNKNOWN = replace(at_rest(), infra_machine=None)


@pytest.mark.parametrize(
    ("events", "wiped_at", "expected"),
    [(0, 0, False), (1, 0, True), (3, 3, False), (4, 3, True), (2, 3, False)],
)
def test_installed_when_started_since_the_wipe(events, wiped_at, expected):
    machine = wish(at_rest(), install_event_id=events)
    assert facts.installed(replace(machine, wipe_status=WipeStatus(META, "w1", wiped_at))) is expected


def test_installed_without_wipe_status_counts_from_zero():
    assert facts.installed(replace(wish(at_rest(), install_event_id=1), wipe_status=None))
    assert not facts.installed(replace(at_rest(), wipe_status=None))


def test_installed_unknown_machine_is_not():
    assert not facts.installed(UNKNOWN)


@pytest.mark.parametrize(
    ("machine", "expected"),
    [
        (at_rest(), False),
        (UNKNOWN, True),
        (replace(at_rest(), wipe_status=None), True),
        (replace(at_rest(), wipe_status=WipeStatus(META, "w1")), True),
        (wish(at_rest(), wipe_id="w2"), True),
        (wish(at_rest(), wipe_id=""), True),
        (replace(wish(at_rest(), wipe_id=""), wipe_status=WipeStatus(META, "", 0, initial_wipe_done=True)), False),
    ],
)
def test_requires_wipe(machine, expected):
    assert facts.requires_wipe(machine) is expected


@pytest.mark.parametrize(
    ("machine", "expected"),
    [
        (UNKNOWN, AGENT),
        (at_rest(), AGENT),
        (allocated(), TALOS),
        (allocated(installs=1), DISK),
        (wish(at_rest(), install_event_id=1), AGENT),
        (wish(allocated(installs=1), wipe_id="w2"), AGENT),
        (replace(allocated(installs=1), bmc_configuration=None), AGENT),
        (wish(allocated(installs=1), acceptance_status=Acceptance.PENDING), AGENT),
        (wish(allocated(installs=1), meta=GOING), AGENT),
        (wish(at_rest(), acceptance_status=Acceptance.REJECTED), DISK),
        (wish(at_rest(), acceptance_status=Acceptance.REJECTED, meta=GOING), DISK),
        (wish(allocated(installs=1), cordoned=True), DISK),
        (wish(at_rest(), cordoned=True), AGENT),
        (lost(), DISK),
        (lost(wish(at_rest(), acceptance_status=Acceptance.PENDING)), DISK),
        (lost(wish(at_rest(), meta=GOING)), AGENT),
        (replace(allocated(), wipe_status=None), AGENT),
    ],
)
def test_boot_mode(machine, expected):
    assert facts.boot_mode(machine) is expected
    assert facts.requires_pxe(machine) is (expected is not DISK)


@pytest.mark.parametrize(
    ("machine", "expected"),
    [
        (at_rest(), False),
        (allocated(), True),
        (wish(at_rest(), install_event_id=1), True),
        (wish(at_rest(), wipe_id="w2"), True),
        (UNKNOWN, True),
    ],
)
def test_requires_power_on(machine, expected):
    assert facts.requires_power_on(machine) is expected


@pytest.mark.parametrize(
    ("request_id", "acknowledged", "wipe_id", "active"),
    [
        ("p1", "p1", "w1", True),
        ("p1", "p1", "w0", False),
        ("p2", "p1", "w1", False),
        ("", "p1", "w1", False),
        ("", "", "w1", False),
        ("p1", "", "w1", False),
    ],
)
def test_power_off_active(request_id, acknowledged, wipe_id, active):
    record = PowerOperation(META, PowerState.OFF, None, acknowledged, wipe_id)
    machine = wish(at_rest(power_operation=record), power_off_request_id=request_id)
    assert facts.power_off_active(machine) is active


def test_power_off_active_without_record_is_not():
    assert not facts.power_off_active(wish(at_rest(), power_off_request_id="p1"))


@pytest.mark.parametrize(
    ("machine", "expected"),
    [
        (at_rest(), True),
        (replace(at_rest(), bmc_configuration=None), False),
        (wish(at_rest(), wipe_id="w2"), False),
        (UNKNOWN, False),
    ],
)
def test_ready_to_use(machine, expected):
    assert facts.ready_to_use(machine) is expected


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (None, False),
        (InfraMachineStatus(META), False),
        (InfraMachineStatus(META, installed=True), False),
        (InfraMachineStatus(META, ready_to_use=True), True),
        (InfraMachineStatus(META, wiped_node_unique_token="token"), True),
    ],
)
def test_record_lost_when_we_reported_what_only_a_wipe_gives(status, expected):
    machine = replace(at_rest(), wipe_status=None, infra_machine_status=status)
    assert facts.record_lost(machine) is expected


def test_record_lost_ends_when_a_wipe_status_appears():
    assert not facts.record_lost(replace(lost(), wipe_status=WipeStatus(META)))


def test_record_lost_not_without_infra_machine_nor_while_tearing_down():
    assert not facts.record_lost(replace(lost(), infra_machine=None))
    assert not facts.record_lost(lost(wish(at_rest(), meta=GOING)))


@pytest.mark.parametrize(
    ("machine", "expected"),
    [
        (at_rest(), None),
        (UNKNOWN, Gate.NOT_ACCEPTED),
        (lost(wish(at_rest(), acceptance_status=Acceptance.REJECTED, cordoned=True)), Gate.REJECTED),
        (lost(wish(at_rest(), acceptance_status=Acceptance.PENDING, cordoned=True)), Gate.NOT_ACCEPTED),
        (lost(wish(at_rest(), cordoned=True)), Gate.CORDONED),
        (lost(), Gate.RECORD_LOST),
        (lost(wish(at_rest(), acceptance_status=Acceptance.REJECTED, cordoned=True, meta=GOING)), None),
    ],
)
def test_gate_is_the_first_that_holds(machine, expected):
    assert facts.gate(machine) is expected


@pytest.mark.parametrize("agent", [True, False, None])
def test_agent_accessible_not_on_a_machine_that_is_off(agent):
    assert facts.agent_accessible(seen(at_rest(), False, agent)) is False
    assert facts.agent_accessible(seen(at_rest(), None, agent)) is agent
    assert facts.agent_accessible(seen(at_rest(), True, agent)) is agent
