"""A reboot that Omni asks for and of which nobody knows whether it was done is said; one that was done is not."""

from dataclasses import replace
from datetime import timedelta

import pytest

from app.machine.decide import operation_id
from app.machine.model import Operation, OperationName, RebootStatus
from app.state.history import HistoryEntry
from app.state.unended import unended_reboot
from tests.unit.web.stand_ins import MACHINE_ID, NOW, picture

BEGUN = NOW - timedelta(minutes=5)
BEGUN_MS = int(BEGUN.timestamp() * 1000)
OWN = operation_id(MACHINE_ID, Operation(OperationName.REBOOT, "", cause=("requested", "r1")))


def entry(ended_ms=BEGUN_MS + 40, outcome="done", operation="power_on", cause=""):
    return HistoryEntry(operation, cause, "t", ended_ms - 5, ended_ms, outcome, "", 1)


BEFORE = entry(BEGUN_MS - 1)
FAILED = entry(outcome="failed", operation="reboot", cause=OWN)
DONE_BEFORE = entry(BEGUN_MS - 86_400_000, operation="reboot", cause=OWN)
OTHER = entry(outcome="failed", operation="reboot", cause="of another")


def asked(*, wish="r1", recorded="r1", begun=BEGUN):
    record = RebootStatus(last_reboot_id=recorded, last_reboot_timestamp=begun)
    return replace(picture(requested_reboot_id=wish), reboot_status=record)


def told(*entries, machine=None):
    return unended_reboot(machine or asked(), iter(entries))


def test_reboot_that_was_recorded_and_never_ended_is_said_with_its_time_and_the_remedy():
    words = told(BEFORE)
    assert '"r1"' in words and f"{BEGUN:%Y-%m-%d %H:%M:%S} UTC, and its worker died" in words
    assert words.endswith("Ask for another if it was not.")


def test_reboot_that_failed_and_stands_recorded_is_said_and_not_laid_to_its_worker():
    words = told(FAILED, BEFORE)
    assert '"r1"' in words and "is not tried again" in words and "died" not in words
    assert words.endswith("Ask for another if it was not.")


@pytest.mark.parametrize("outcome", ["done", "failed", "skipped"])
@pytest.mark.parametrize("operation", ["bmc_test", "bmc_probe"])
def test_person_who_looks_at_the_bmc_ends_no_reboot(operation, outcome):
    looks = [entry(outcome=outcome, operation=operation)] * 3
    assert "its worker died" in told(*looks, BEFORE)
    assert "failed" in told(*looks, FAILED, BEFORE)


def test_what_was_skipped_or_failed_later_is_no_sign_that_all_went_on():
    later = [entry(outcome="skipped", operation="reboot"), entry(outcome="failed", operation="power_off")]
    assert "its worker died" in told(*later, BEFORE)
    assert "failed" in told(*later, FAILED, BEFORE)


def test_attempt_at_it_that_failed_before_it_was_recorded_is_not_its_end():
    assert "its worker died" in told(replace(FAILED, ended_ms=BEGUN_MS - 1))


@pytest.mark.parametrize(
    "entries",
    [(DONE_BEFORE,), (BEFORE, DONE_BEFORE), (OTHER, BEFORE, DONE_BEFORE), (OTHER, BEFORE)],
    ids=["its worker died", "long ago", "it failed", "it failed, and the history of the one was lost"],
)
def test_other_reboot_that_renewed_the_time_does_not_make_a_lost_one_of_the_one_that_was_done(entries):
    assert told(*entries) == ""


def test_other_reboot_that_failed_later_does_not_hide_one_that_failed():
    assert "has failed" in told(OTHER, FAILED, BEFORE)


def test_other_reboot_that_failed_before_does_not_hide_a_lost_one():
    assert "its worker died" in told(replace(OTHER, ended_ms=BEGUN_MS - 1), BEFORE)


@pytest.mark.parametrize("earlier", [(), (FAILED,)])
def test_operation_that_was_done_later_is_a_sign_that_all_went_on(earlier):
    assert told(entry(), *earlier, BEFORE) == ""


@pytest.mark.parametrize(
    ("machine", "entries"),
    [
        (asked(), (replace(FAILED, outcome="done"), BEFORE)),
        (asked(), ()),
        (asked(wish=""), (BEFORE,)),
        (asked(wish="r2"), (BEFORE,)),
        (asked(begun=None), (BEFORE,)),
        (replace(asked(), reboot_status=None), (BEFORE,)),
        (replace(asked(), infra_machine=None), (BEFORE,)),
    ],
    ids=["done", "history lost", "not asked for", "asked anew", "acknowledged", "none", "unknown"],
)
def test_reboot_that_was_done_or_is_to_come_is_not_said_to_be_lost(machine, entries):
    assert told(*entries, machine=machine) == ""


def test_no_more_of_the_history_is_read_than_tells_it():
    def history():
        yield entry()
        pytest.fail("read on")

    assert unended_reboot(asked(), history()) == ""
