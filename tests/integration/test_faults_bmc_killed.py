"""A BMC worker killed at every step of power-ons and reboots, with BMCs of each kind: none is doubled or undone."""

import sys

import pytest

from app.machine.model import PowerState
from app.omni.kinds import Kind
from app.state.lease import LEASE_MS
from lab.bmc.chassis import BmcKind, Button
from tests.integration.step_site import StepSite

pytestmark = [
    pytest.mark.integration,
    pytest.mark.fault,
    pytest.mark.timeout(300),
    pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc"),
]

API, REDFISH, IPMI = BmcKind.API, BmcKind.REDFISH, BmcKind.IPMI
FAULT = "kill -9 of worker bmc"
ARMING, ARMED, RECORDED = "its network boot being armed", "armed, not recorded yet", "recorded, not sent yet"
SENT, DONE, READ_BACK = "sent, not carried out yet", "carried out, not answered yet", "being read back"
CLOSING = "read back, its session being closed"
# A lease lives on for so long; then the sweep of the next second has the BMC, or the operation.
FREE_S = LEASE_MS / 1000 + 5

# The session of the dead worker, which nobody can close, ends after a minute of silence, as IPMI has it.
LEFT_OPEN = {
    "1 sessions at its BMC that nobody closed",
    "1 logins at its BMC whose slot nobody gave back",
    "2 sessions open at a time at its BMC",
}

POWER_ONS = [
    *((kind, ARMING) for kind in BmcKind),
    (REDFISH, ARMED),
    *((kind, RECORDED) for kind in (API, IPMI)),
    *((kind, SENT) for kind in (REDFISH, IPMI)),
    *((kind, DONE) for kind in BmcKind),
    *((kind, READ_BACK) for kind in BmcKind),
    (IPMI, CLOSING),
]
INTO_ITS_MODE, ASKED_FOR = "a reboot into agent mode: ", "a reboot that Omni asks for: "
REBOOTS = [
    *((kind, INTO_ITS_MODE + ARMING) for kind in (REDFISH, IPMI)),
    (IPMI, INTO_ITS_MODE + ARMED),
    (API, INTO_ITS_MODE + RECORDED),
    *((kind, INTO_ITS_MODE + SENT) for kind in (REDFISH, IPMI)),
    (REDFISH, INTO_ITS_MODE + READ_BACK),
    (IPMI, ASKED_FOR + RECORDED),
    *((kind, ASKED_FOR + SENT) for kind in (API, IPMI)),
    *((kind, ASKED_FOR + DONE) for kind in BmcKind),
    *((kind, ASKED_FOR + READ_BACK) for kind in (API, IPMI)),
    (IPMI, ASKED_FOR + CLOSING),
]


def places(table, *ends):
    return [place for place, (_, step) in enumerate(table) if step.endswith(ends)]


def stop(site, table, place, button, record):
    """Have the operation of a machine stop at its step. record: the method and the kind of its record."""
    step = table[place][1]
    if step.endswith(ARMING):
        return site.stop_at_bmc(place, Button.PXE_BOOT)
    if step.endswith((ARMED, RECORDED)):
        return site.stop_at_omni(place, *record, done=step.endswith(RECORDED))
    if step.endswith((SENT, DONE)):
        return site.stop_at_bmc(place, button, done=step.endswith(DONE))
    return site.stop_in_read_back(place, button)


def kill_at_each_step(site, table, button, record, begin):
    """Kill the worker when each operation stands at its step. begin: has the operations of some machines begin."""
    steps = {place: stop(site, table, place, button, record) for place in range(len(table))}
    # First what can be waited at for longest: the shortest wait is that of IPMI for the answer to a command, 5 s.
    for ends in ((READ_BACK, CLOSING), (ARMED, RECORDED), (ARMING, SENT, DONE)):
        begun = places(table, *ends)
        begin(begun)
        site.until_all([steps[place] for place in begun])
    closing = places(table, CLOSING)
    site.until_all([site.stop_at_the_end(place) for place in closing])
    site.kill_worker()


def told_of(site):
    """What the rack complains of: of each machine, by its place."""
    ids = [m.id for m in site.machines]
    told = {}
    for words in site.complaints():
        told.setdefault(ids.index(words[:36]), set()).add(words.partition(": ")[2])
    return told


def left_open(table):
    """What the rack complains of where a session of IPMI was under way."""
    closing = places(table, CLOSING)
    return {p: LEFT_OPEN for p, (kind, _) in enumerate(table) if kind is IPMI and p not in closing}


def note(site, table, hit, survived, *, what="", lost=()):
    outcomes = {}
    for place, (kind, step) in enumerate(table):
        outcome = "lost, and said to be" if place in lost else site.outcome(place, hit[place])
        outcomes.setdefault((step, outcome), []).append(kind)
    for (step, outcome), kinds in outcomes.items():
        survived(FAULT, f"{what}{step} ({', '.join(kinds)})", outcome)


def test_worker_killed_at_each_step_of_power_ons_each_machine_is_powered_on_once(tmp_path, survived):
    table = POWER_ONS
    with StepSite(tmp_path, [kind for kind, _ in table]) as site:
        site.join_all()
        site.accept(*range(len(table)))
        site.until_ready_and_off()
        before, hit = site.executed(), [site.figures(p) for p in range(len(table))]
        record = ("Update", Kind.POWER_OPERATION)
        kill_at_each_step(site, table, Button.POWER_ON, record, lambda some: site.allocate(*some))
        assert site.until_asked_again() < FREE_S
        site.until_in_talos(timeout_s=90)
        site.until_no_session()
        done = [after - b for after, b in zip(site.executed(), before, strict=True)]
        assert [d[Button.POWER_ON] for d in done] == [1] * len(table)
        assert [d[Button.REBOOT] + d[Button.POWER_OFF] for d in done] == [0] * len(table)
        assert site.asked() == {"poweron": len(table), "poweroff": len(table)}
        assert site.sent_again() == []
        records = [site.record(Kind.POWER_OPERATION, p) for p in range(len(table))]
        assert {r.last_power_operation for r in records} == {PowerState.ON}
        assert site.wipes() == [(1, 1, 0)] * len(table)
        assert told_of(site) == left_open(table)
        note(site, table, hit, survived, what="a power-on: ")


def test_worker_killed_at_each_step_of_reboots_none_is_doubled(tmp_path, survived):
    table = REBOOTS
    with StepSite(tmp_path, [kind for kind, _ in table]) as site:
        site.join_all()
        site.accept(*range(len(table)))
        site.until_ready_and_off()
        site.allocate(*range(len(table)))
        site.until_in_talos(timeout_s=90)
        before, hit = site.executed(), [site.figures(p) for p in range(len(table))]
        into_its_mode = [p for p, (_, step) in enumerate(table) if step.startswith(INTO_ITS_MODE)]
        asked_for = [p for p in range(len(table)) if p not in into_its_mode]
        requests = {}

        def begin(some):
            site.deallocate(*(p for p in some if p in into_its_mode))
            ids = site.omni(lambda omni: {p: omni.request_reboot(site.machines[p].id) for p in some if p in asked_for})
            requests.update(ids)

        kill_at_each_step(site, table, Button.REBOOT, ("Create", Kind.REBOOT_STATUS), begin)
        assert site.until_asked_again() < FREE_S
        site.until_ready_and_off(*into_its_mode, timeout_s=90)
        site.until_in_talos(*asked_for)
        site.until_no_session()
        lost = places(table, ASKED_FOR + RECORDED)
        done = [after - b for after, b in zip(site.executed(), before, strict=True)]
        assert [d[Button.REBOOT] for d in done] == [0 if p in lost else 1 for p in range(len(table))]
        assert [d[Button.POWER_ON] for d in done] == [0] * len(table)
        assert [d[Button.POWER_OFF] for d in done] == [1 if p in into_its_mode else 0 for p in range(len(table))]
        assert site.sent_again() == []
        assert [site.record(Kind.REBOOT_STATUS, p).last_reboot_id for p in asked_for] == [
            requests[p] for p in asked_for
        ]
        told = {p: "its worker died" in site.fetched(f"/machines/{site.machines[p].id}") for p in asked_for}
        assert {p for p in asked_for if told[p]} >= set(lost)
        assert site.wipes() == [(2, 2, 0) if p in into_its_mode else (1, 1, 0) for p in range(len(table))]
        assert told_of(site) == left_open(table)
        note(site, table, hit, survived, lost=lost)
