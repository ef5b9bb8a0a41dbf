"""What the pages say of a machine."""

from dataclasses import replace
from datetime import timedelta

import pytest

from app.machine.decide import decide, operation_id
from app.machine.model import (
    Acceptance,
    DecideOptions,
    Facts,
    InfraMachineStatus,
    PowerOperation,
    PreferredPowerState,
    WipeStatus,
)
from app.state.attempts import Attempt
from app.state.bmc_notes import BmcTrouble
from app.state.facts import RefusedTunnel
from app.state.history import HistoryEntry
from app.state.view import LeaseInfo, MachineView
from app.web.pages import words
from app.web.search import matches
from tests.unit.web.stand_ins import MACHINE_ID, NOW, picture

NOW_MS = int(NOW.timestamp() * 1000)


def view(machine=None, **extras):
    machine = machine or picture()
    plain = {"attempts": (), "lease": None, "queued": None, "phase": "ready", "sentence": ""}
    return MachineView(machine=machine, decision=decide(machine, DecideOptions()), **{**plain, **extras})


def attempt(*, parked=False, next_s=0.0):
    next_ms = NOW_MS + int(next_s * 1000) if next_s else 0
    return Attempt("wipe", "id", 2, next_ms, parked, "AgentRefused", "input/output error", NOW_MS)


def just_on(machine):
    return replace(machine, power_operation=PowerOperation(last_power_on_timestamp=NOW - timedelta(seconds=30)))


UNWIPED = replace(picture(), wipe_status=None)
ASKED = replace(picture(requested_reboot_id="r1"), wipe_status=None)
WITHOUT_AGENT = replace(UNWIPED, facts=Facts(powered_on=True, agent_accessible=False))
OFF = replace(picture(), facts=Facts(powered_on=False, agent_accessible=False))


@pytest.mark.parametrize(
    ("seen", "said"),
    [
        (view(lease=LeaseInfo("wipe", NOW - timedelta(minutes=3), "t")), "wipe has run for 3 min"),
        (view(queued="reboot"), "reboot waits for a worker"),
        (view(UNWIPED, attempts=(attempt(next_s=40),)), "wipe is tried again in 40 s"),
        (view(UNWIPED, attempts=(attempt(next_s=-1),)), "wipe is tried again now"),
        (view(UNWIPED, attempts=(attempt(parked=True, next_s=1800),)), "wipe is parked; tried again in 30 min"),
        (view(UNWIPED, attempts=(attempt(parked=True),)), "wipe waits for a person"),
        (view(UNWIPED), "wipe, now"),
        (view(ASKED, attempts=(attempt(next_s=40),)), "reboot, now"),
        (view(ASKED, attempts=(attempt(parked=True),)), "reboot, now"),
        (view(WITHOUT_AGENT, attempts=(attempt(next_s=-1),)), "reboot, now"),
        (view(OFF, attempts=(attempt(parked=True),)), "wipe is parked, and not due now"),
        (view(OFF, attempts=(attempt(next_s=40),)), "nothing is due"),
        (view(just_on(picture())), "power_off in 14 min (cooldown)"),
        (view(just_on(WITHOUT_AGENT)), "reboot in 14 min (cooldown)"),
        (view(picture(acceptance_status=Acceptance.PENDING)), "waits to be accepted in Omni"),
        (view(picture(cordoned=True), attempts=(attempt(next_s=40),)), "nothing: it is cordoned"),
        (view(picture(preferred_power_state=PreferredPowerState.ON)), "nothing is due"),
    ],
)
def test_next_step_is_told_with_its_time(seen, said):
    assert words.what_next(seen) == said


@pytest.mark.parametrize(
    ("machine", "wanted"),
    [
        (picture(), "off"),
        (picture(preferred_power_state=PreferredPowerState.ON), "on"),
        (picture(cluster_talos_version="1.13.7"), "on"),
        (replace(picture(), wipe_status=WipeStatus()), "on"),
        (picture(cordoned=True), "left as it is"),
        (replace(picture(), infra_machine=None), "left as it is"),
    ],
)
def test_wanted_power_is_what_omni_wants(machine, wanted):
    assert words.power_wanted(machine, decide(machine, DecideOptions())) == wanted


@pytest.mark.parametrize(("powered_on", "differs"), [(True, True), (None, True), (False, False)])
def test_power_that_is_not_as_wanted_is_marked(powered_on, differs):
    row = words.row(view(replace(picture(), facts=Facts(powered_on=powered_on))))
    assert (row.power_wanted, row.power_differs) == ("wanted off", differs)


def test_row_says_what_is_not_known():
    row = words.row(view(replace(picture(), facts=Facts(), bmc_configuration=None)))
    assert (row.power, row.agent, row.bmc, row.last) == ("unknown", "unknown", "not set up", "")


@pytest.mark.parametrize(
    ("seen", "told"),
    [
        (view(UNWIPED, attempts=(attempt(parked=True),)), "input/output error"),
        (view(just_on(WITHOUT_AGENT), phase="wipe-due", sentence="no agent"), "no agent"),
        (view(UNWIPED, phase="wipe-due", sentence="about to be wiped"), ""),
        (view(OFF, sentence="may stay off"), ""),
    ],
)
def test_cause_is_told_where_something_failed_or_is_stuck(seen, told):
    assert words.row(seen).cause == told


@pytest.mark.parametrize(
    ("machine", "said"),
    [
        (picture(), "w1"),
        (UNWIPED, "never wiped by us"),
        (replace(UNWIPED, infra_machine_status=InfraMachineStatus(ready_to_use=True)), "the record of it is lost"),
        (replace(picture(), wipe_status=WipeStatus()), "first wipe not done"),
        (replace(picture(), wipe_status=WipeStatus(initial_wipe_done=True)), "first wipe"),
    ],
)
def test_last_wipe_is_told_by_our_record(machine, said):
    assert words.wiped_for(machine) == said


def test_last_operation_is_told_with_its_age():
    entry = HistoryEntry("wipe", "", "t", NOW_MS - 70_000, NOW_MS - 65_000, "failed", "words", 1)
    row = words.row(view(last=entry))
    assert (row.last, row.last_age, row.last_failed) == ("wipe failed", "1 min ago", True)
    assert words.took(entry) == "5.0 s"


@pytest.mark.parametrize(
    "text",
    [MACHINE_ID[:6].upper(), "02-00-00", "02:00:00", "sn77", "10.0.0.9", "rack=r7", "prod", " 1.13.7 "],
)
def test_machine_is_found_by_what_people_know_of_it(text):
    machine = picture(cluster_talos_version="1.13.7")
    labels = {"omni.sidero.dev/cluster": "prod", "rack": "r7"}
    wish = replace(machine.infra_machine, meta=replace(machine.infra_machine.meta, labels=labels))
    seen = view(replace(machine, infra_machine=wish), mac="02-00-00-00-00-01", serial="SN77")
    assert matches(seen, "", text)
    assert matches(seen, "ready", text)
    assert not matches(seen, "parked", text)
    assert not matches(seen, "", text + "zz")


def test_refused_tunnel_is_told_with_what_it_may_mean():
    assert words.refused_tunnel(view()) == ""
    told = words.refused_tunnel(view(refused_tunnel=RefusedTunnel(NOW_MS, "192.0.2.66")))
    assert "192.0.2.66" in told and "10:00:00 UTC" in told and "one UUID" in told


@pytest.mark.parametrize(
    ("refused", "said"),
    [(True, "waits for another login, or a retry"), (False, "the BMC is asked again with the next sweep")],
)
def test_bmc_that_does_not_say_the_power_is_the_cause_and_what_is_waited_for(refused, said):
    machine = replace(picture(), facts=Facts(powered_on=None, agent_accessible=False))
    seen = view(machine, bmc_trouble=BmcTrouble(NOW_MS, refused, "401 from 192.0.2.1"))
    assert words.cause(seen) == "401 from 192.0.2.1"
    assert words.what_next(seen) == said


def test_failed_attempt_is_made_again_only_where_it_is_due():
    due = operation_id(MACHINE_ID, view(UNWIPED).decision.operations[0])
    waiting = replace(attempt(next_s=40), operation_id=due)
    assert words.tried_next(view(UNWIPED), waiting) == words.clock(NOW_MS + 40_000)
    assert words.tried_next(view(OFF), waiting) == "not due now"
    assert words.tried_next(view(OFF), attempt(parked=True)) == "waits for a person"


def test_bmc_that_cannot_be_read_is_the_cause_rather_than_an_attempt_that_is_not_due():
    trouble = BmcTrouble(NOW_MS, False, "nobody answers")
    assert words.cause(view(OFF, attempts=(attempt(next_s=40),), bmc_trouble=trouble)) == "nobody answers"
    assert words.cause(view(OFF, attempts=(attempt(next_s=40),))) == "input/output error"
