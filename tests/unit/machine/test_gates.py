"""Destructive rules first: what may be done with a machine that is not ours to touch."""

from dataclasses import replace

import pytest

from app.machine.model import Acceptance, PowerOperation
from tests.unit.machine.pictures import (
    GOING,
    META,
    ON,
    allocated,
    at_rest,
    decided,
    due,
    lost,
    reasons,
    seen,
    user_login,
    wiping,
    wish,
)

BUSY = {
    "wipe due under an agent": wiping(on=True, agent=True),
    "reboot due into the agent": wiping(on=True, agent=False),
    "power on due": wiping(on=False),
    "power off due": seen(at_rest(), True, False),
    "reboot asked for": wish(allocated(installs=1), requested_reboot_id="r1"),
    "power-off request": wish(allocated(installs=1), power_off_request_id="p1"),
    "reboot asked for while off": wish(at_rest(), requested_reboot_id="r1"),
    "login from a user": replace(at_rest(), bmc_config=user_login(api_address="10.0.0.9:80")),
    "login from the agent": replace(seen(at_rest(), True, True), bmc_configuration=None),
}
GATES = {
    "rejected": {"acceptance_status": Acceptance.REJECTED},
    "not accepted": {"acceptance_status": Acceptance.PENDING},
    "cordoned": {"cordoned": True},
}


@pytest.mark.parametrize("busy", BUSY.values(), ids=BUSY)
def test_open_gate_something_is_due(busy):
    assert due(busy)


@pytest.mark.parametrize("busy", BUSY.values(), ids=BUSY)
@pytest.mark.parametrize("gate", GATES)
@pytest.mark.parametrize("record", ["kept", "lost"])
def test_closed_gate_nothing_is_due(busy, gate, record):
    machine = wish(busy if record == "kept" else lost(busy), **GATES[gate])
    decision = decided(machine)
    assert (decision.gate, decision.operations, decision.wait_s) == (gate, (), None)
    assert decision.reasons


@pytest.mark.parametrize("busy", BUSY.values(), ids=BUSY)
def test_unknown_machine_nothing_is_due(busy):
    decision = decided(replace(busy, infra_machine=None))
    assert (decision.gate, decision.operations) == ("not accepted", ())
    assert "Omni does not know" in decision.reasons[0]


@pytest.mark.parametrize("busy", BUSY.values(), ids=BUSY)
def test_lost_record_only_a_power_off_request_is_acknowledged(busy):
    decision = decided(lost(busy))
    expected = ["acknowledge_power_off"] if busy is BUSY["power-off request"] else []
    assert decision.gate == "record lost"
    assert [o.name for o in decision.operations] == expected
    assert decision.boot_mode == "talos-disk"
    assert "a person decides" in decision.reasons[0]
    assert "`omni-metal record MACHINE --adopt` keeps" in decision.reasons[0] and "`--wipe`" in decision.reasons[0]


def test_lost_record_acknowledged_request_is_not_acknowledged_again():
    machine = wish(lost(), power_off_request_id="p1")
    assert due(replace(machine, power_operation=PowerOperation(META, last_power_off_id="p1"))) == []


def test_lost_record_without_bmc_nothing_is_acknowledged():
    assert due(replace(wish(lost(), power_off_request_id="p1"), bmc_configuration=None)) == []


@pytest.mark.parametrize("gate", [*GATES, "record lost"])
def test_tearing_down_passes_every_gate(gate):
    machine = lost() if gate == "record lost" else wish(at_rest(), **GATES[gate])
    decision = decided(wish(machine, meta=GOING))
    assert decision.gate is None
    assert [o.name for o in decision.operations] == ["teardown"]


@pytest.mark.parametrize("busy", BUSY.values(), ids=BUSY)
def test_tearing_down_nothing_but_the_teardown_is_due(busy):
    assert due(wish(busy, meta=GOING, power_off_request_id="p2", preferred_power_state=ON)) == ["teardown"]


@pytest.mark.parametrize("gate", GATES)
def test_closed_gate_says_which(gate):
    words = {"rejected": "rejected", "not accepted": "not accepted", "cordoned": "cordoned"}
    assert words[gate] in reasons(wish(at_rest(), **GATES[gate]))
