"""What Omni's machine pages show: labels that tell what a machine is at, and nothing secret."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from app.machine.decide import decide
from app.machine.model import (
    Acceptance,
    BmcConfiguration,
    DecideOptions,
    Facts,
    InfraMachine,
    InfraMachineStatus,
    Ipmi,
    Machine,
    MachineStatus,
    Meta,
    PowerState,
    WipeStatus,
)
from app.state.attempts import Attempt
from app.state.bmc_notes import BmcFound, BmcTrouble
from app.state.facts import Notes
from app.watcher.plan import Sight, plan
from app.watcher.status_labels import LONGEST, STATUS_LABELS, cut, facts_as_labels

NOW = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
NOW_MS = int(NOW.timestamp() * 1000)
OPTIONS = DecideOptions(min_reboot_interval_s=0)
PASSWORD = "correct horse"
READY = Machine(
    id="m1",
    now=NOW,
    facts=Facts(powered_on=False, agent_accessible=False),
    infra_machine=InfraMachine(acceptance_status=Acceptance.ACCEPTED),
    machine_status=MachineStatus(power_state=PowerState.OFF),
    bmc_configuration=BmcConfiguration(ipmi=Ipmi("192.0.2.1", 623, "talos-agent", PASSWORD)),
    wipe_status=WipeStatus(Meta(updated_s=NOW.timestamp()), initial_wipe_done=True),
)
FAILED = Attempt("power_off", "1", 2, NOW_MS, False, "BmcUnreachable", "BMC 192.0.2.1 does not answer", NOW_MS)


def labels(machine, *attempts, wiping=False, trouble=None):
    return dict(facts_as_labels(machine, decide(machine, OPTIONS), attempts, wiping=wiping, trouble=trouble))


def test_machine_at_rest_tells_its_phase_its_bmc_and_when_it_was_wiped():
    assert labels(READY) == {
        "phase": "ready",
        "bmc-address": "192.0.2.1",
        "bmc-protocol": "ipmi",
        "wiped-at": "2026-05-04T12:00:00Z",
    }


def test_machine_whose_bmc_refuses_the_login_is_parked_with_what_the_bmc_says():
    trouble = BmcTrouble(refused=True, words="BMC 192.0.2.1 refuses the login", since_ms=NOW_MS)
    told = labels(READY, trouble=trouble)
    assert (told["phase"], told["last-error"]) == ("parked", trouble.words)


def test_failed_operation_is_told_rather_than_the_power_that_cannot_be_read():
    trouble = BmcTrouble(refused=False, words="BMC 192.0.2.1 does not answer", since_ms=NOW_MS)
    assert labels(READY, trouble=trouble)["last-error"] == trouble.words
    assert labels(READY, FAILED, trouble=trouble)["last-error"].startswith("power_off: ")


def test_machine_without_bmc_and_wipe_tells_its_phase_alone():
    fresh = replace(READY, bmc_configuration=None, wipe_status=None)
    assert labels(fresh) == {"phase": "wipe-due"}
    assert labels(fresh, wiping=True) == {"phase": "wiping"}


def test_api_bmc_is_told_by_its_address_and_port():
    found = labels(replace(READY, bmc_configuration=BmcConfiguration(api_address="192.0.2.1:80")))
    assert (found["bmc-address"], found["bmc-protocol"]) == ("192.0.2.1:80", "api")


def test_protocol_is_told_as_it_was_found():
    found = BmcFound("redfish", vendor="Wiwynn")
    told = facts_as_labels(READY, decide(READY, OPTIONS), (), wiping=False, bmc_found=found)
    assert told["bmc-protocol"] == "redfish"
    both = replace(READY, bmc_configuration=replace(READY.bmc_configuration, api_address="192.0.2.1:80"))
    assert labels(both)["bmc-protocol"] == "api"


def test_failed_attempt_is_told_in_words_and_a_parked_one_before_others():
    assert labels(READY, FAILED)["last-error"] == "power_off: BMC 192.0.2.1 does not answer"
    parked = replace(FAILED, operation="wipe", parked=True, words="no disk")
    found = labels(READY, FAILED, parked)
    assert (found["last-error"], found["phase"]) == ("wipe: no disk", "parked")


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        ("a\n b\tc", "a b c"),
        ("\x1b[31mred", "[31mred"),
        ("übel", "bel"),
        ("x" * 64, "x" * 60 + "..."),
        ("x" * 63, "x" * 63),
    ],
)
def test_words_are_cut_and_cleaned(words, shown):
    assert cut(words) == shown
    assert len(shown) <= LONGEST


def test_password_is_in_no_label():
    assert PASSWORD not in str(labels(READY, replace(FAILED, words="refused")))
    assert labels(READY, FAILED).keys() <= STATUS_LABELS


def seen(machine, *, busy=False, operators=None, shown=True):
    sight = Sight(machine, Notes(), busy, {}, NOW_MS if busy else 0)
    return plan(sight, OPTIONS, operators or {}, status_labels=shown)


def test_label_of_the_operator_wins_over_ours():
    assert seen(READY, operators={"phase": "mine"}).report.labels["phase"] == "mine"


def test_labels_wait_for_the_end_of_an_operation_and_the_operators_do_not():
    status = InfraMachineStatus(power_state=PowerState.OFF, ready_to_use=True)
    reported = replace(READY, infra_machine_status=status)
    assert seen(reported, busy=True).report is None
    assert seen(reported).report.labels["phase"] == "ready"
    assert seen(reported, busy=True, operators={"rack": "r1"}).report.labels["rack"] == "r1"


def test_labels_are_taken_off_where_they_are_not_wanted_any_more():
    status = InfraMachineStatus(Meta(labels={"phase": "ready"}), power_state=PowerState.OFF, ready_to_use=True)
    assert dict(seen(replace(READY, infra_machine_status=status), shown=False).report.labels) == {}
