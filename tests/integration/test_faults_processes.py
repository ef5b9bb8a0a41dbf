"""Each process killed, with machines amid their wipes and with machines at rest; and tasks that come twice."""

import json
import sys
import time
import urllib.request

import pytest

from app.machine.model import OperationName
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

        site.allocate(0, 1)
        site.until_in_talos()
        before = site.asked()
        killed = {name: site.kill(name) for name in ALL}
        for name, pids in killed.items():
            site.started_anew(name, pids)
        wait_until(lambda: ready(site), 60)
        time.sleep(QUIET_S)
        assert site.asked() == before
        assert site.do(lambda: [m.counts["booted Talos"] for m in site.machines]) == [1, 1]
        assert site.wipes() == [(3, 1, 2)] * 2

        site.deallocate(0, 1)
        site.until_ready_and_off()
        assert site.wipes() == [(4, 2, 2)] * 2
        assert site.recorded() == [2, 2]
        assert site.complaints() == []
    cut = "cut with the tunnel, begun again: begun 2, done 1, recorded 1; reboots 0"
    survived("kill -9 of gateway", "wipes under way", cut)
    survived("kill -9 of web, which carries the tunnels", "wipes under way", cut)
    survived("kill -9 of watcher, worker poll, beat", "wipes under way", "begun 1, done 1, recorded 1; power-offs 1")
    survived(
        "kill -9 of all processes but Redis, one after the other", "machines in Talos", "wipes 0, power commands 0"
    )


def test_each_task_delivered_twice_does_its_work_once(tmp_path, survived):
    with FaultSite(tmp_path, machines=2, wipe_s=2, boot_s=0.2) as site:
        site.join_all()
        site.accept(0, 1)
        site.until_wiping()
        for machine in site.machines:
            running = site.redis.get(f"om:lease:{machine.id}")
            task_id, wipe = json.loads(running)["task"], TASKS[OperationName.WIPE]
            wipe.apply_async(kwargs={"machine_id": machine.id, "operation_id": "x"}, task_id=task_id)
            wipe.apply_async(kwargs={"machine_id": machine.id})
        site.until_ready_and_off()
        for machine in site.machines:
            for task in TASKS.values():
                task.apply_async(kwargs={"machine_id": machine.id, "operation_id": "x"})
        asked = [TASKS[OperationName.POWER_OFF].apply_async(kwargs={"machine_id": m.id}).id for m in site.machines]
        wait_until(lambda: all(b"skipped: " in (site.result(task_id) or b"") for task_id in asked), 20)
        assert site.wipes() == [(1, 1, 0)] * 2
        assert site.asked() == {"poweroff": 2}
        assert site.complaints() == []
    survived("each task twice, with its own id and with a new one", "wipes under way", "begun 1, done 1; power-offs 1")
    survived("each task twice", "machines that are ready and off", "skipped: wipes 0, power commands 0")
