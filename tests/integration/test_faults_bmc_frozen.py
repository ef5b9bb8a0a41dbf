"""A BMC worker that stands still amid its sessions sends nothing any more once others have the machines."""

import os
import signal
import sys
import time

import pytest

from app.machine.model import PreferredPowerState
from app.omni.kinds import Kind
from lab.bmc.chassis import BmcKind, Button
from lab.hardware import Stage
from tests.integration.step_site import SENT_S, StepSite

pytestmark = [
    pytest.mark.integration,
    pytest.mark.fault,
    pytest.mark.timeout(300),
    pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc"),
]

FROZEN_S = 35
# What a worker does with what it finds when it wakes, it does at once.
QUIET_S = 5
KINDS = (BmcKind.REDFISH, BmcKind.REDFISH, BmcKind.API, BmcKind.IPMI)


def test_worker_frozen_amid_its_sessions_sends_no_command_when_it_wakes(tmp_path, survived):
    with StepSite(tmp_path, KINDS) as site:
        off, reset, on_api, on_ipmi = range(4)
        site.join_all()
        site.accept(*range(4))
        site.until_ready_and_off()
        site.allocate(reset)
        site.prefer(PreferredPowerState.ON, off)
        site.until_in_talos(reset)
        site.until(lambda _: site.machines[off].tunnel_open, 30, "its agent is back")
        before, hit = site.executed(), [site.figures(p) for p in range(4)]
        steps = [site.stop_at_omni(p, "Update", Kind.POWER_OPERATION, done=True) for p in (on_api, on_ipmi)]
        slow = [
            site.stop_before_the_command(off, "Update", Kind.POWER_OPERATION),
            site.stop_before_the_command(reset, "Create", Kind.REBOOT_STATUS),
        ]
        site.allocate(on_api, on_ipmi)
        site.until_all(steps)
        site.prefer(PreferredPowerState.OFF, off)
        site.deallocate(reset)
        site.until_all(slow)
        time.sleep(SENT_S)
        assert len(site.at_work()) == 4
        frozen, frozen_s = site.kill("worker bmc", signal.SIGSTOP), time.monotonic()
        assert site.executed() == before
        site.let_all_go()
        with site.beside("worker bmc"):
            site.until_in_talos(on_api, on_ipmi, timeout_s=90)
            site.until(lambda _: not site.machines[off].powered_on, 90, "off")
            site.prefer(PreferredPowerState.ON, off)
            site.until(lambda _: site.machines[off].stage is Stage.AGENT, 60, "on again")
            site.until_ready_and_off(reset, timeout_s=90)
            time.sleep(max(0.0, frozen_s + FROZEN_S - time.monotonic()))
            for pid in frozen:
                os.kill(pid, signal.SIGCONT)
            time.sleep(QUIET_S)
        done = [after - b for after, b in zip(site.executed(), before, strict=True)]
        assert done == [
            {Button.POWER_OFF: 1, Button.POWER_ON: 1},
            {Button.REBOOT: 1, Button.POWER_OFF: 1},
            {Button.POWER_ON: 1},
            {Button.POWER_ON: 1},
        ]
        assert [m.powered_on for m in site.machines] == [True, False, True, True]
        assert site.wipes() == [(1, 1, 0), (2, 2, 0), (1, 1, 0), (1, 1, 0)]
        fault = f"worker bmc frozen for {FROZEN_S} s, others do its work"
        survived(fault, "a power-off (redfish) that is about to be sent, then a power-on", site.outcome(off, hit[off]))
        survived(fault, "a reboot into agent mode (redfish) that is about to be sent", site.outcome(reset, hit[reset]))
        survived(fault, "a power-on (api) that is recorded, and not sent yet", site.outcome(on_api, hit[on_api]))
        survived(fault, "a power-on (ipmi) that is recorded, and not sent yet", site.outcome(on_ipmi, hit[on_ipmi]))
