"""Redis killed, stopped and emptied: what runs goes on, nothing is done twice, and all is found again."""

import os
import signal
import sys
import time

import pytest

from lab.bmc.chassis import Button
from tests.integration.fault_site import FaultSite

pytestmark = [
    pytest.mark.integration,
    pytest.mark.fault,
    pytest.mark.timeout(300),
    pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc"),
]

STOPPED_S = 60


def test_redis_killed_and_stopped_for_a_minute_wipes_go_on_and_are_recorded_once(tmp_path, survived):
    with FaultSite(tmp_path, machines=4, wipe_s=6, boot_s=0.2) as site:
        site.join_all()
        site.accept(2, 3)
        site.until_ready_and_off(2, 3)
        site.allocate(2, 3)
        site.until_in_talos(2, 3)
        in_talos = site.figures(3)
        site.accept(0, 1)
        site.until_wiping(0, 1)
        killed = site.kill("redis")
        site.until_ready_and_off(0, 1)
        assert site.pids("redis") != killed
        assert site.wipes() == [(1, 1, 0)] * 4
        assert site.recorded() == [1, 1, 1, 1]
        assert site.asked() == {"poweroff": 4, "poweron": 2}
        survived("kill -9 of Redis, which is started again", "a wipe", site.outcome(0))
        survived("kill -9 of Redis, which is started again", "a machine in Talos", site.outcome(3, in_talos))

        hit = [site.figures(p) for p in range(4)]
        held = site.do(lambda: site.machines[0].bmc.hold(Button.POWER_ON))
        site.allocate(0)
        site.until(lambda _: held.waiting, 30, "the BMC has the command")
        site.deallocate(2)  # a reboot: workers do as much side by side as before Redis was killed
        site.until_wiping(2)
        (redis,) = site.pids("redis")
        before = site.asked()
        os.kill(redis, signal.SIGSTOP)
        try:
            stopped_s = time.monotonic()
            site.do(held.release)
            refused = site.boot_status(3)
            assert refused == 503
            time.sleep(STOPPED_S - (time.monotonic() - stopped_s))
            assert site.wipes(2) == [(2, 2, 0)]
            assert site.asked() == before
        finally:
            os.kill(redis, signal.SIGCONT)
        site.until_ready_and_off(2)
        site.until_in_talos(0, 3)
        assert site.wipes() == [(1, 1, 0), (1, 1, 0), (2, 2, 0), (1, 1, 0)]
        assert site.asked() - before == {"poweroff": 1}
        assert site.do(lambda: site.machines[3].counts["booted Talos"]) == 1
        assert site.complaints() == []
        fault = "Redis stopped for 60 s"
        survived(fault, "a machine taken out of its cluster, whose wipe ends meanwhile", site.outcome(2, hit[2]))
        survived(fault, "a power-on that the BMC has and has not done", site.outcome(0, hit[0]))
        survived(fault, "a machine in Talos", site.outcome(3, hit[3]))
        survived(fault, "a machine that boots", f"HTTP {refused} until it is back")


def test_redis_emptied_amid_wipes_and_with_machines_in_talos_none_is_touched(tmp_path, survived):
    with FaultSite(tmp_path, machines=3, wipe_s=8, boot_s=0.2) as site:
        site.join_all()
        site.accept(2)
        site.until_ready_and_off(2)
        site.allocate(2)
        site.until_in_talos(2)
        hit = site.figures(2)
        site.accept(0, 1)
        site.until_wiping(0, 1)
        site.redis.flushall()
        site.until_ready_and_off(0, 1)
        assert site.wipes() == [(1, 1, 0)] * 3
        assert site.asked(0, 1) == {"poweroff": 2}
        assert site.asked(2) == {"poweroff": 1, "poweron": 1}
        assert site.do(lambda: site.machines[2].counts["booted Talos"]) == 1
        assert site.complaints() == []
        survived("FLUSHALL", "a wipe", site.outcome(0))
        survived("FLUSHALL", "a machine in Talos", site.outcome(2, hit))
