"""Clocks put forward and back by an hour: Redis', by which all times are told, and those of all other processes."""

import sys
import time

import pytest

from app.machine.model import PreferredPowerState
from app.state.wake import Alarms
from lab.bmc.chassis import Button
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
# Longer than all tasks wait after a step of Redis' clock.
COOLDOWN_S = 20
# Where nothing else tells that it is over, it is found when all machines are looked at, each 30 s.
OFF_WITHIN_S = COOLDOWN_S + 35
# Looks at every machine come each 30 s, and a lease that is cut then ends within 30 s more.
FREE_WITHIN_S = 75
# So often is the machine looked at whose power-on has lost its lease with the step, before its BMC answers.
LOOKS = 6


def power_on_and_prefer_off(site, place):
    """The machine is powered on just now, and is to go off as soon as its cooldown is over."""
    site.prefer(PreferredPowerState.ON, place)
    site.until(lambda _: site.machines[place].powered_on, 30, "powered on")
    site.prefer(PreferredPowerState.OFF, place)
    return time.monotonic(), site.figures(place)


def off_after_its_cooldown(site, place, on_s, on):
    site.until(lambda _: not site.machines[place].powered_on, OFF_WITHIN_S, "powered off")
    assert time.monotonic() - on_s >= COOLDOWN_S
    assert site.outcome(place, on) == "power-offs 1"
    return f"{site.outcome(place, on)}, after its cooldown"


def test_redis_clock_put_forward_and_back_by_an_hour_nothing_is_doubled_or_held_up(tmp_path, survived):
    need("" if COMPILER else "a clock that can be stepped is made with a C compiler (gcc, libc6-dev)")
    clock = SteppedClock(tmp_path, "redis")
    with (
        redis_server(tmp_path, clock) as url,
        FaultSite(
            tmp_path, f"--redis-url={url}", f"--min-reboot-interval={COOLDOWN_S}s", machines=6, wipe_s=6, boot_s=0.2
        ) as site,
    ):
        in_talos, powered, first, second, wiped, orphaned = range(6)
        site.join_all()
        site.accept(in_talos, powered, first, second)
        site.until_ready_and_off(in_talos, powered, first, second)
        site.allocate(in_talos)
        site.until_in_talos(in_talos)
        rests = site.figures(in_talos)

        site.accept(wiped)
        site.until_wiping(wiped)
        on = power_on_and_prefer_off(site, first)
        hold, off = site.do(lambda: site.machines[powered].bmc.hold(Button.POWER_ON)), site.figures(powered)
        site.allocate(powered)
        site.until(lambda _: hold.waiting, 30, "the BMC has the command")
        clock.put(HOUR_S)
        for _ in range(LOOKS):
            Alarms(site.redis).wake(site.machines[powered].id)
            time.sleep(0.5)
        site.do(hold.release)
        site.until_in_talos(powered)
        fault = "Redis' clock put forward by 1 h"
        survived(fault, "a machine just powered on, to go off", off_after_its_cooldown(site, first, *on))
        site.until_ready_and_off(wiped)
        assert site.asked(powered) == {"poweroff": 1, "poweron": 1}
        survived(fault, "a wipe", site.outcome(wiped))
        survived(fault, "a power-on that the BMC has and has not done", site.outcome(powered, off))

        site.accept(orphaned)
        site.until_wiping(orphaned)
        on = power_on_and_prefer_off(site, second)
        killed = site.kill("worker wipe")
        clock.put(0)
        site.started_anew("worker wipe", killed)
        fault = "Redis' clock put back by 1 h"
        survived(fault, "a machine just powered on, to go off", off_after_its_cooldown(site, second, *on))
        site.until_ready_and_off(orphaned, timeout_s=FREE_WITHIN_S)
        within = f"{site.outcome(orphaned)}, within {FREE_WITHIN_S} s"
        survived(f"{fault}, worker wipe killed", "a wipe whose lease would last an hour", within)
        survived("Redis' clock put forward and back by 1 h", "a machine in Talos", site.outcome(in_talos, rests))

        assert site.wipes() == [(1, 1, 0)] * 6
        assert site.recorded() == [1] * 6
        assert site.asked(first, second) == {"poweron": 2, "poweroff": 4}
        assert site.figures(in_talos) == rests
        assert site.complaints() == []


def test_clocks_of_all_but_redis_put_forward_and_back_by_an_hour_nothing_is_doubled(tmp_path, survived):
    need("" if COMPILER else "a clock that can be stepped is made with a C compiler (gcc, libc6-dev)")
    clock = SteppedClock(tmp_path, "others")
    site = FaultSite(tmp_path, machines=3, wipe_s=4, boot_s=0.2)
    site.environ = clock.environ
    with redis_server(tmp_path, SteppedClock(tmp_path, "redis")) as url:
        site.extra.append(f"--redis-url={url}")
        with site:
            in_talos, forward, back = range(3)
            site.join_all()
            site.accept(in_talos)
            site.until_ready_and_off(in_talos)
            site.allocate(in_talos)
            site.until_in_talos(in_talos)
            rests = site.figures(in_talos)
            for place, ahead_s in ((forward, HOUR_S), (back, 0)):
                site.accept(place)
                site.until_wiping(place)
                clock.put(ahead_s)
                site.until_ready_and_off(place)
            swept = site.do(lambda: site.machines[in_talos].bmc.calls["status"])
            site.until(lambda _: site.machines[in_talos].bmc.calls["status"] > swept + 2, 10, "power is read as before")
            assert site.wipes() == [(1, 1, 0)] * 3
            assert site.recorded() == [1] * 3
            assert site.asked(forward, back) == {"poweroff": 2}
            assert site.figures(in_talos) == rests
            assert site.complaints() == []
            survived("the clocks of all but Redis put forward by 1 h", "a wipe", site.outcome(forward))
            survived("the clocks of all but Redis put back by 1 h", "a wipe", site.outcome(back))
            survived("both of these", "a machine in Talos", site.outcome(in_talos, rests))
