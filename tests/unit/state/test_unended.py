"""A reboot that Omni asks for and whose worker died amid it is said, and none that ended or was not begun."""

from dataclasses import replace
from datetime import timedelta

import pytest

from app.machine.decide import decide
from app.machine.model import DecideOptions, RebootStatus
from app.state.history import HistoryEntry
from app.state.unended import unended_reboot
from app.state.view import LeaseInfo, MachineView
from tests.unit.web.stand_ins import NOW, picture

BEGUN = NOW - timedelta(minutes=5)
BEGUN_MS = int(BEGUN.timestamp() * 1000)


def entry(ended_ms, outcome="done", operation="power_on"):
    return HistoryEntry(operation, "", "t", ended_ms - 5, ended_ms, outcome, "", 1)


def view(*, asked="r1", recorded="r1", begun=BEGUN, **extras):
    record = RebootStatus(last_reboot_id=recorded, last_reboot_timestamp=begun)
    machine = replace(picture(requested_reboot_id=asked), reboot_status=record)
    extras = {"last": entry(BEGUN_MS - 1), **extras}
    return MachineView(machine, decide(machine, DecideOptions()), (), None, None, "ready", "", **extras)


def test_reboot_that_was_recorded_and_never_ended_is_said_with_its_time_and_the_remedy():
    told = unended_reboot(view())
    assert '"r1"' in told and f"{BEGUN:%Y-%m-%d %H:%M:%S} UTC" in told and "Ask for another" in told


@pytest.mark.parametrize(
    "seen",
    [
        view(last=entry(BEGUN_MS + 40, operation="reboot")),
        view(last=entry(BEGUN_MS + 40, "failed", operation="reboot")),
        view(last=None),
        view(asked=""),
        view(asked="r2"),
        view(begun=None),
        replace(view(), lease=LeaseInfo("reboot", NOW, "t")),
        replace(view(), machine=replace(view().machine, reboot_status=None)),
        replace(view(), machine=replace(view().machine, infra_machine=None)),
    ],
    ids=["done", "failed", "history lost", "not asked for", "asked anew", "acknowledged", "running", "none", "unknown"],
)
def test_reboot_that_ended_or_runs_or_is_to_come_is_not_said_to_be_lost(seen):
    assert unended_reboot(seen) == ""
