"""Omni away for a minute: what runs goes on, nothing new begins, and what was done is recorded when it is back."""

import html
import sys
import time

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

STOPPED_S = 60


def test_omni_away_for_a_minute_amid_wipes_and_power_commands_none_is_lost_or_doubled(tmp_path, survived):
    with FaultSite(tmp_path, machines=5, wipe_s=6, boot_s=0.2) as site:
        wiped, in_talos, powered_on, powered_off, idle = range(5)
        site.join_all()
        site.accept(in_talos, powered_on, powered_off, idle)
        site.until_ready_and_off(in_talos, powered_on, powered_off, idle)
        site.allocate(in_talos)
        site.prefer(PreferredPowerState.ON, powered_off)
        site.until_in_talos(in_talos)
        site.until(lambda _: site.machines[powered_off].tunnel_open, 30, "its agent is back")
        site.accept(wiped)
        site.until_wiping(wiped)
        site.until_settled(wiped)
        hit = [site.figures(p) for p in range(5)]
        held = [
            site.do(lambda: site.machines[powered_on].bmc.hold(Button.POWER_ON)),
            site.do(lambda: site.machines[powered_off].bmc.hold(Button.POWER_OFF)),
        ]
        site.allocate(powered_on)
        site.prefer(PreferredPowerState.OFF, powered_off)
        site.until(lambda _: all(h.waiting for h in held), 30, "the BMCs have their commands")
        before = [site.asked(p) for p in range(5)]
        site.thread.wait(site.thread.rack.stop_omni)
        site.do(lambda: [h.release() for h in held])
        time.sleep(STOPPED_S)
        told = site.omni_check()
        assert (told["ok"], told["code"]) == (False, "omni-unreachable")
        assert "--omni-api-endpoint" in told["remedy"] and told["remedy"] in html.unescape(site.fetched("/"))
        assert site.boot_status(idle) == site.boot_status(in_talos) == 200
        assert site.wipes() == [(1, 1, 0)] * 5
        assert [site.asked(p) for p in range(5)] == before
        assert site.omni(lambda omni: omni.get(Kind.WIPE_STATUS, site.machines[wiped].id)) is None
        site.thread.wait(site.thread.rack.start_omni)
        site.until_ready_and_off(wiped, powered_off, idle)
        site.until_in_talos(in_talos, powered_on)
        assert site.wipes() == [(1, 1, 0)] * 5
        assert site.recorded() == [1] * 5
        assert [site.asked(p) - b for p, b in enumerate(before)] == [{"poweroff": 1}, {}, {}, {}, {}]
        assert site.do(lambda: site.machines[in_talos].counts["booted Talos"]) == 1
        assert site.complaints() == []
        fault = "Omni stopped for 60 s"
        survived(fault, "a wipe that ends meanwhile", site.outcome(wiped))
        survived(fault, "a power-on that the BMC has and has not done", site.outcome(powered_on, hit[powered_on]))
        survived(fault, "a power-off that the BMC has and has not done", site.outcome(powered_off, hit[powered_off]))
        survived(fault, "a machine in Talos", site.outcome(in_talos, hit[in_talos]))
        survived(fault, "a machine that is ready and off", site.outcome(idle, hit[idle]))
        survived(fault, "a machine that boots", "HTTP 200 from the mirror")
