"""Agents that freeze or go away amid a wipe: the wipe is begun again when they are back, and recorded once."""

import sys
from dataclasses import replace

import pytest

from lab.bmc.chassis import Button
from tests.integration.fault_site import FaultSite

pytestmark = [
    pytest.mark.integration,
    pytest.mark.fault,
    pytest.mark.timeout(300),
    pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc"),
]

# 28 s until a greeting is late, and some for the tunnel to close on a busy machine.
FOUND_WITHIN_S = 32


def wipe_takes(machine, wipe_s):
    machine.around = replace(machine.around, wipe_s=wipe_s)


def test_agents_frozen_killed_or_reset_amid_a_wipe_are_wiped_again_and_recorded_once(tmp_path, survived):
    with FaultSite(tmp_path, machines=3, wipe_s=5, boot_s=0.2) as site:
        frozen, killed, reset = site.machines
        site.do(lambda: wipe_takes(frozen, 100))
        site.join_all()
        site.accept(0, 1, 2)
        site.until_wiping()

        def faults():
            frozen.agent_hangs = True
            killed.kill_agent()
            reset.press(Button.REBOOT)

        site.do(faults)
        site.until(lambda _: not frozen.wiping, FOUND_WITHIN_S, "the frozen agent is found")
        assert site.wipes() == [(1, 0, 1), (2, 1, 1), (2, 1, 1)]

        def thaws():
            wipe_takes(frozen, 1)
            frozen.agent_hangs = False

        site.do(thaws)
        site.until_ready_and_off()
        assert site.wipes() == [(2, 1, 1)] * 3
        assert site.recorded() == [1, 1, 1]
        assert site.asked() == {"poweroff": 3}
        assert site.complaints() == []
        survived(f"an agent frozen, found within {FOUND_WITHIN_S} s", "its wipe", site.outcome(0))
        survived("an agent killed", "its wipe", site.outcome(1))
        survived("a machine reset by hand", "its wipe", site.outcome(2))
