"""Each process killed, with machines amid their wipes and with machines at rest; and tasks that come twice."""

import json
import os
import signal
import sys
import time
import urllib.request

import pytest

from app.machine.model import OperationName, PreferredPowerState
from app.omni.kinds import Kind
from app.state.agents import agent_key
from app.state.lease import lease_key
from lab.bmc.chassis import Button
from tests.integration.children import wait_until
from tests.integration.fault_site import FaultSite
from workers.enqueue import TASKS

pytestmark = [
    pytest.mark.integration,
    pytest.mark.fault,
    pytest.mark.timeout(300),
    pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc"),
]

# Whatever a process that comes back might do to machines at rest, it does within its first looks at them.
QUIET_S = 5
# Longer than the entries of its agents live in the registry.
FROZEN_S = 25
ALL = ("web", "gateway", "watcher", "worker bmc", "worker wipe", "worker poll", "beat")


def ready(site):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{site.port}/readyz", timeout=5) as answer:
            return answer.status == 200
    except OSError:
        return False


def test_processes_killed_during_wipes_and_at_rest_machines_are_wiped_once_and_left_alone(tmp_path, survived):
    with FaultSite(tmp_path, machines=2, wipe_s=5, boot_s=0.2) as site:
        site.join_all()
        site.accept(0, 1)
        for number, name in enumerate(("gateway", "web")):
            site.until_wiping()
            killed = site.kill(name)
            site.until(lambda _: not any(m.wiping for m in site.machines), 10, "wipes end with their tunnels")
            assert site.wipes() == [(number + 1, 0, number + 1)] * 2
            site.started_anew(name, killed)
        site.until_wiping()
        killed = {name: site.kill(name) for name in ("watcher", "worker poll", "beat")}
        site.until_ready_and_off()
        for name, pids in killed.items():
            site.started_anew(name, pids)
        assert site.wipes() == [(3, 1, 2)] * 2
        assert site.recorded() == [1, 1]
        assert site.asked() == {"poweroff": 2}
        assert site.complaints() == []
        fault = "kill -9 of gateway; then of web; then of watcher, worker poll and beat"
        survived(fault, "a wipe each time; the first two carry its tunnel", site.outcome(0))

        site.allocate(0, 1)
        site.until_in_talos()
        before = [site.figures(p) for p in range(2)]
        killed = {name: site.kill(name) for name in ALL}
        for name, pids in killed.items():
            site.started_anew(name, pids)
        wait_until(lambda: ready(site), 60)
        time.sleep(QUIET_S)
        assert [site.figures(p) for p in range(2)] == before
        assert site.do(lambda: [m.counts["booted Talos"] for m in site.machines]) == [1, 1]
        survived("kill -9 of all processes but Redis", "a machine in Talos", site.outcome(0, before[0]))

        site.deallocate(0, 1)
        site.until_ready_and_off()
        assert site.wipes() == [(4, 2, 2)] * 2
        assert site.recorded() == [2, 2]
        assert site.complaints() == []
        survived("all these", "a machine taken out of its cluster afterwards", site.outcome(0, before[0]))


def deliver_twice(site, place, name):
    """Deliver the task that works on a machine once more, and another one of its kind."""
    machine_id = site.machines[place].id
    running = json.loads(site.redis.get(lease_key(machine_id)))
    assert running["op"] == name
    task, words = TASKS[name], {"machine_id": machine_id, "operation_id": "x"}
    return [task.apply_async(kwargs=words, task_id=running["task"]).id, task.apply_async(kwargs=words).id]


def test_each_task_delivered_twice_does_its_work_once(tmp_path, survived):
    with FaultSite(tmp_path, machines=6, wipe_s=4, boot_s=0.2) as site:
        configured, wiped, on, off, rebooted, removed = range(6)
        site.join_all()
        site.accept(on, off, rebooted, removed)
        site.until_ready_and_off(on, off, rebooted, removed)
        site.prefer(PreferredPowerState.ON, off)
        site.allocate(rebooted, removed)
        site.until_in_talos(rebooted, removed)
        site.until(lambda _: site.machines[off].tunnel_open, 30, "its agent is back")
        names = [m.id for m in site.machines]
        before = [site.asked(p) for p in range(6)]
        hit = [site.figures(p) for p in range(6)]
        holds = [
            site.omni(lambda omni: omni.hold("Create", Kind.BMC_CONFIGURATION, names[configured])),
            site.omni(lambda omni: omni.hold("Teardown", Kind.WIPE_STATUS, names[removed])),
            site.do(lambda: site.machines[on].bmc.hold(Button.POWER_ON)),
            site.do(lambda: site.machines[off].bmc.hold(Button.POWER_OFF)),
            site.do(lambda: site.machines[rebooted].bmc.hold(Button.REBOOT)),
        ]
        site.accept(wiped)
        site.until_wiping(wiped)
        site.omni(lambda omni: (omni.allow_joins(allowed=False), omni.remove(names[removed])))
        site.accept(configured)
        site.allocate(on)
        site.prefer(PreferredPowerState.OFF, off)
        site.omni(lambda omni: omni.request_reboot(names[rebooted]))
        site.until(lambda _: all(h.waiting for h in holds), 60, "all are at work")
        sent = [
            copy
            for place, name in {
                configured: OperationName.CONFIGURE_BMC,
                wiped: OperationName.WIPE,
                on: OperationName.POWER_ON,
                off: OperationName.POWER_OFF,
                rebooted: OperationName.REBOOT,
                removed: OperationName.TEARDOWN,
            }.items()
            for copy in deliver_twice(site, place, name)
        ]
        wait_until(lambda: all(b"skipped: " in (site.result(task_id) or b"") for task_id in sent[1::2]), 20)
        site.do(lambda: [h.release() for h in holds])
        site.until_ready_and_off(configured, wiped)
        site.until_in_talos(on, rebooted)
        site.until(lambda rack: not rack.observe(site.machines[removed]).known, 60, "removed")
        wait_until(lambda: not site.redis.exists(*map(lease_key, names)), 20)
        assert not any(b"FAILURE" in (site.result(task_id) or b"") for task_id in sent)

        done = [site.asked(p) - b for p, b in enumerate(before)]
        once = [{"poweroff": 1}, {"poweroff": 1}, {"poweron": 1}, {"poweroff": 1}, {"reboot": 1}, {"reboot": 1}]
        assert done == once
        assert site.wipes() == [(1, 1, 0)] * 6
        assert site.do(lambda: site.machines[configured].counts["agent set power management"]) == 1
        for machine in site.machines[:removed]:
            for task in TASKS.values():
                task.apply_async(kwargs={"machine_id": machine.id, "operation_id": "x"})
        last = [TASKS[OperationName.POWER_OFF].apply_async(kwargs={"machine_id": m.id}).id for m in site.machines]
        wait_until(lambda: all(b"skipped: " in (site.result(task_id) or b"") for task_id in last), 20)
        assert [site.asked(p) - b for p, b in enumerate(before)] == once
        assert site.wipes() == [(1, 1, 0)] * 6
        assert site.complaints() == []
        fault = "each task twice, with its own id and with a new one, while it works"
        logins = site.machines[configured].counts["agent set power management"]
        survived(fault, "BMC set-up", f"set up {logins}, {site.outcome(configured)}")
        survived(fault, "a wipe", site.outcome(wiped))
        survived(fault, "a power-on", site.outcome(on, hit[on]))
        survived(fault, "a power-off", site.outcome(off, hit[off]))
        survived(fault, "a reboot", site.outcome(rebooted, hit[rebooted]))
        survived(fault, "a teardown", f"{site.outcome(removed, hit[removed])}, removed")


def test_gateway_frozen_amid_a_wipe_the_wipe_goes_on_and_is_recorded_once(tmp_path, survived):
    with FaultSite(tmp_path, machines=1, wipe_s=8, boot_s=0.2) as site:
        site.join_all()
        site.accept(0)
        site.until_wiping()
        frozen = site.kill("gateway", signal.SIGSTOP)
        time.sleep(FROZEN_S)
        assert site.wipes() == [(1, 1, 0)]
        assert site.recorded() == [0]
        assert not site.redis.exists(agent_key(site.machines[0].id))
        for pid in frozen:
            os.kill(pid, signal.SIGCONT)
        site.until_ready_and_off()
        assert site.wipes() == [(1, 1, 0)]
        assert site.recorded() == [1]
        assert site.asked() == {"poweroff": 1}
        assert site.complaints() == []
        survived(f"gateway frozen for {FROZEN_S} s", "a wipe that ends meanwhile", site.outcome(0))
