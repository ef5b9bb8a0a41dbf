"""Workers killed or frozen with work in hand: nothing is done twice, and nothing stays undone."""

import os
import signal
import sys

import pytest

from app.machine.model import PreferredPowerState
from app.omni.kinds import Kind
from lab.bmc.chassis import Button
from tests.integration.fault_site import FaultSite

pytestmark = [
    pytest.mark.integration,
    pytest.mark.fault,
    pytest.mark.timeout(300),
    pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc"),
]


def test_worker_killed_before_during_and_after_wipes_each_is_done_and_recorded_once(tmp_path, survived):
    with FaultSite(tmp_path, machines=4, wipe_s=6, boot_s=0.2) as site:
        asked, during, ended, recorded = range(4)
        names = [m.id for m in site.machines]
        holds = [
            site.omni(lambda omni: omni.hold("Get", Kind.WIPE_STATUS, names[asked])),
            site.omni(lambda omni: omni.hold("Create", Kind.WIPE_STATUS, names[ended])),
            site.omni(lambda omni: omni.hold("Create", Kind.WIPE_STATUS, names[recorded], done=True)),
        ]
        site.join_all()
        site.accept(ended, recorded)
        site.until_wiping(ended, recorded)
        site.until(lambda _: not any(m.wiping for m in site.some(ended, recorded)), 30, "two wipes end")
        site.accept(asked, during)
        site.until(
            lambda _: site.machines[during].wiping and all(h.waiting for h in holds), 60, "all are at their point"
        )
        killed = site.kill("worker wipe")
        assert site.wipes() == [(0, 0, 0), (1, 0, 0), (1, 1, 0), (1, 1, 0)]
        site.let_go(holds)
        site.started_anew("worker wipe", killed)
        site.until_ready_and_off()
        assert site.wipes() == [(1, 1, 0)] * 4
        # Of the one that was recorded and not told so, Omni's record is all that there is.
        assert site.recorded() == [1, 1, 1, 0]
        assert site.asked() == {"poweroff": 4}
        assert site.complaints() == []
        fault = "kill -9 of worker wipe"
        survived(fault, "a wipe that is being confirmed", site.outcome(asked))
        survived(fault, "a wipe", site.outcome(during))
        survived(fault, "a wipe that has ended and is not recorded", site.outcome(ended))
        survived(fault, "a wipe whose record is written, and not answered yet", site.outcome(recorded))


def test_worker_killed_before_during_and_after_power_commands_none_is_doubled(tmp_path, survived):
    options = {"machines": 7, "wipe_s": 0.2, "boot_s": 0.2}
    with FaultSite(tmp_path, **options) as site:
        on_asked, on_sent, off_asked, off_done, reboot_asked, reboot_sent, removed = range(7)
        names = [m.id for m in site.machines]
        site.join_all()
        site.accept(*range(7))
        site.until_ready_and_off()
        site.allocate(reboot_asked, reboot_sent, removed)
        site.prefer(PreferredPowerState.ON, off_asked, off_done)
        site.until_in_talos(reboot_asked, reboot_sent, removed)
        site.until(lambda _: all(m.tunnel_open for m in site.some(off_asked, off_done)), 30, "agents are back")
        before = [site.asked(p) for p in range(7)]
        hit = [site.figures(p) for p in range(7)]

        def hold(method, kind, place):
            return site.omni(lambda omni: omni.hold(method, kind, names[place]))

        calls = [
            hold("Update", Kind.POWER_OPERATION, on_asked),
            hold("Get", Kind.POWER_OPERATION, off_asked),
            hold("Update", Kind.POWER_OPERATION, off_done),
            hold("Get", Kind.REBOOT_STATUS, reboot_asked),
            hold("Teardown", Kind.WIPE_STATUS, removed),
        ]
        commands = [
            site.do(lambda: site.machines[on_sent].bmc.hold(Button.POWER_ON)),
            site.do(lambda: site.machines[reboot_sent].bmc.hold(Button.REBOOT)),
        ]
        site.machines[removed].agent_hangs = True  # it does not come back before the next try
        site.omni(lambda omni: omni.allow_joins(allowed=False))
        site.omni(lambda omni: omni.remove(names[removed]))
        site.allocate(on_asked, on_sent)
        site.prefer(PreferredPowerState.OFF, off_asked, off_done)
        site.omni(lambda omni: [omni.request_reboot(names[p]) for p in (reboot_asked, reboot_sent)])
        site.until(lambda _: all(h.waiting for h in calls + commands), 60, "all are at their point")
        killed = site.kill("worker bmc")
        site.let_go(calls)
        site.do(lambda: [h.release() for h in commands])
        site.started_anew("worker bmc", killed)
        site.until_in_talos(on_asked, on_sent, reboot_asked, reboot_sent, timeout_s=90)
        site.until(lambda _: not any(m.powered_on for m in site.some(off_asked, off_done)), 60, "off")
        site.until(lambda rack: not rack.observe(site.machines[removed]).known, 60, "removed")
        assert [site.asked(p) - b for p, b in enumerate(before)] == [
            {"poweron": 1},
            {"poweron": 1},
            {"poweroff": 1},
            {"poweroff": 1},
            {"reboot": 1},
            {"reboot": 1},
            {"reboot": 1},
        ]
        assert site.wipes() == [(1, 1, 0)] * 7
        assert site.complaints() == []
        hits = {
            on_asked: "a power-on before it is recorded",
            on_sent: "a power-on that the BMC has and has not done",
            off_asked: "a power-off that is being confirmed",
            off_done: "a power-off that is done and not recorded",
            reboot_asked: "a reboot that is being confirmed",
            reboot_sent: "a reboot that the BMC has and has not done",
            removed: "a teardown, with a record destroyed",
        }
        for place, words in hits.items():
            end = ", removed" if place == removed else ""
            survived("kill -9 of worker bmc", words, site.outcome(place, hit[place]) + end)


def test_workers_frozen_for_longer_than_their_leases_do_nothing_when_they_wake(tmp_path, survived):
    with FaultSite(tmp_path, machines=2, wipe_s=6, boot_s=0.2) as site:
        wiped, powered = range(2)
        site.join_all()
        site.accept(powered)
        site.until_ready_and_off(powered)
        off = site.figures(powered)
        hold = site.omni(lambda omni: omni.hold("Update", Kind.POWER_OPERATION, site.machines[powered].id))
        site.accept(wiped)
        site.until_wiping(wiped)
        site.allocate(powered)
        site.until(lambda _: hold.waiting, 30, "the power-on is about to be recorded")
        frozen = [(name, site.kill(name, signal.SIGSTOP)) for name in ("worker wipe", "worker bmc")]
        site.do(hold.release)
        with site.beside("worker bmc"):
            site.until_in_talos(powered, timeout_s=90)
        for _, pids in frozen:
            for pid in pids:
                os.kill(pid, signal.SIGCONT)
        site.until_ready_and_off(wiped)
        assert site.wipes() == [(1, 1, 0)] * 2
        assert site.recorded() == [1, 1]
        assert site.asked(powered) == {"poweron": 1, "poweroff": 1}
        assert site.asked(wiped) == {"poweroff": 1}
        assert site.complaints() == []
        survived("worker wipe frozen for longer than its lease lives", "a wipe", site.outcome(wiped))
        fault = "worker bmc frozen for longer than its lease lives"
        survived(fault, "a power-on that another worker does meanwhile", site.outcome(powered, off))
