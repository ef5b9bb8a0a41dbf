"""Clocks put forward and back by an hour: Redis', by which all times are told, and those of all other processes."""

import sys
import time

import pytest

from app.machine.model import PreferredPowerState
from tests.integration.fault_site import FaultSite
from tests.integration.stepped_clock import COMPILER, SteppedClock, redis_server
from tests.required import need

pytestmark = [
    pytest.mark.integration,
    pytest.mark.fault,
    pytest.mark.timeout(300),
    pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc"),
]

HOUR_S = 3600
COOLDOWN_S = 8
# Where nothing else tells that it is over, it is found when all machines are looked at, each 30 s.
OFF_WITHIN_S = COOLDOWN_S + 35
# Looks at every machine come each 30 s, and a lease that is cut then ends within 30 s more.
FREE_WITHIN_S = 75


def power_on_and_prefer_off(site, place):
    """The machine is powered on just now, and is to go off as soon as its cooldown is over."""
    site.prefer(PreferredPowerState.ON, place)
    site.until(lambda _: site.machines[place].powered_on, 30, "powered on")
    site.prefer(PreferredPowerState.OFF, place)


def off_after_s(site, place, began_s):
    site.until(lambda _: not site.machines[place].powered_on, OFF_WITHIN_S, "powered off")
    return time.monotonic() - began_s


def test_clocks_put_forward_and_back_by_an_hour_nothing_is_doubled_cut_short_or_held_up(tmp_path, survived):
    need("" if COMPILER else "a clock that can be stepped is made with a C compiler (gcc, libc6-dev)")
    redis_clock, other_clock = SteppedClock(tmp_path, "redis"), SteppedClock(tmp_path, "other")
    options = {"machines": 5, "wipe_s": 6, "boot_s": 0.2}
    with redis_server(tmp_path, redis_clock) as url:
        site = FaultSite(tmp_path, f"--redis-url={url}", f"--min-reboot-interval={COOLDOWN_S}s", **options)
        site.environ = other_clock.environ
        with site:
            idle, in_talos, orphaned, forward, back = range(5)
            site.join_all()
            site.accept(idle, in_talos)
            site.until_wiping(idle, in_talos)
            redis_clock.put(HOUR_S)
            site.until_ready_and_off(idle, in_talos)
            assert site.wipes(idle, in_talos) == [(1, 1, 0)] * 2
            survived("Redis' clock put forward by 1 h", "a wipe", site.outcome(in_talos))
            site.allocate(in_talos)
            site.until_in_talos(in_talos)
            rests = site.figures(in_talos)

            power_on_and_prefer_off(site, idle)
            began_s, on = time.monotonic(), site.figures(idle)
            redis_clock.put(2 * HOUR_S)
            assert off_after_s(site, idle, began_s) >= COOLDOWN_S
            kept = f"{site.outcome(idle, on)}, after its cooldown"
            survived("Redis' clock put forward by 1 h", "a machine just powered on, to go off", kept)

            site.accept(orphaned)
            site.until_wiping(orphaned)
            power_on_and_prefer_off(site, idle)
            began_s, on = time.monotonic(), site.figures(idle)
            killed = site.kill("worker wipe")
            redis_clock.put(HOUR_S)
            site.started_anew("worker wipe", killed)
            assert off_after_s(site, idle, began_s) >= COOLDOWN_S
            kept = f"{site.outcome(idle, on)}, after its cooldown"
            survived("Redis' clock put back by 1 h", "a machine just powered on, to go off", kept)

            for place, ahead_s in ((forward, HOUR_S), (back, 0)):
                site.accept(place)
                site.until_wiping(place)
                other_clock.put(ahead_s)
            site.until_ready_and_off(orphaned, forward, back, timeout_s=FREE_WITHIN_S)
            assert site.wipes() == [(1, 1, 0)] * 5
            assert site.recorded() == [1] * 5
            assert site.asked(idle) == {"poweron": 2, "poweroff": 3}
            assert site.asked(in_talos) == {"poweron": 1, "poweroff": 1}
            assert site.asked(orphaned, forward, back) == {"poweroff": 3}
            assert site.do(lambda: site.machines[in_talos].counts["booted Talos"]) == 1
            assert site.complaints() == []
            survived(
                "Redis' clock put back by 1 h, worker wipe killed",
                "a wipe whose lease would last an hour",
                f"{site.outcome(orphaned)}, within {FREE_WITHIN_S} s",
            )
            survived("the clocks of all but Redis put forward by 1 h", "a wipe", site.outcome(forward))
            survived("the clocks of all but Redis put back by 1 h", "a wipe", site.outcome(back))
            survived("all these", "a machine in Talos", site.outcome(in_talos, rests))
