"""What must not go wrong when processes die and tasks come twice, on the real processes."""

import json
import subprocess
import sys
import urllib.request

import pytest

from app.machine.model import OperationName, PreferredPowerState
from app.state.history import History
from tests.integration.children import wait_until
from tests.integration.whole_site import WholeSite
from workers.enqueue import TASKS

pytestmark = [pytest.mark.integration, pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")]


def wipes_recorded(site, machine_id):
    entries = History(site.redis).read(machine_id)
    return [e.outcome for e in entries if e.operation == "wipe" and e.outcome == "done"]


def prefers_off(seen):
    return seen.machine.preferred_power_state is PreferredPowerState.OFF


def test_worker_killed_during_wipes_each_wipe_ends_once_and_is_recorded_once(tmp_path):
    with WholeSite(tmp_path, machines=3, wipe_s=6, boot_s=0.2) as site:
        site.accept_all()
        site.until(lambda rack: all(m.wiping for m in rack.machines), 30, "wipes begin")
        site.kill("worker wipe")
        site.ready_and_off(90)
        counts = site.counts()
        assert (counts["wipe begun"], counts["wipe done"]) == (3, 3)
        assert site.complaints() == []
        assert [wipes_recorded(site, m.id) for m in site.machines] == [["done"]] * 3


def test_each_task_delivered_twice_does_its_work_once(tmp_path):
    with WholeSite(tmp_path, machines=2, wipe_s=2, boot_s=0.2) as site:
        site.accept_all()
        site.until(lambda rack: all(m.wiping for m in rack.machines), 30, "wipes begin")
        for machine in site.machines:
            running = site.redis.get(f"om:lease:{machine.id}")
            task_id, wipe = json.loads(running)["task"], TASKS[OperationName.WIPE]
            wipe.apply_async(kwargs={"machine_id": machine.id, "operation_id": "x"}, task_id=task_id)
            wipe.apply_async(kwargs={"machine_id": machine.id})
        site.ready_and_off()
        for machine in site.machines:
            for task in TASKS.values():
                task.apply_async(kwargs={"machine_id": machine.id, "operation_id": "x"})
        asked = [TASKS[OperationName.POWER_OFF].apply_async(kwargs={"machine_id": m.id}).id for m in site.machines]
        wait_until(lambda: all(b"skipped: " in (site.result(task_id) or b"") for task_id in asked), 20)
        counts = site.counts()
        assert (counts["wipe begun"], counts["wipe done"]) == (2, 2)
        commands = site.thread.call(site.thread.rack.commands)
        assert commands["poweroff"] == 2 and not commands["poweron"] and not commands["reboot"]
        assert site.complaints() == []


def test_failing_wipes_are_parked_shown_with_the_agents_words_and_retried_by_hand(tmp_path):
    with WholeSite(tmp_path, "--operation-attempts=2", machines=1, wipe_s=0.2, boot_s=0.2, fail_wipes=2) as site:
        site.accept_all()
        url = f"http://127.0.0.1:{site.port}/api/v1/machines"

        def parked(_rack):
            with urllib.request.urlopen(url, timeout=5) as answer:
                (machine,) = json.load(answer)["machines"]
            return machine if machine["phase"] == "parked" else None

        site.until(parked, 30, "parked")
        assert "input/output error" in parked(None)["sentence"]
        command = [sys.executable, "-m", "app.cli"]
        where = [f"--redis-url={site.settings.redis_url}", f"--state-dir={site.settings.state_dir}"]
        shown = subprocess.run([*command, "machines", *where], capture_output=True, text=True, timeout=30, check=True)
        assert "parked" in shown.stdout and "input/output error" in shown.stdout
        machine_id = site.machines[0].id
        retried = subprocess.run([*command, "retry", machine_id, *where], capture_output=True, timeout=30, check=True)
        assert b"wipe" in retried.stdout
        site.ready_and_off()
        assert site.counts()["wipe begun"] == 3


def test_redis_emptied_during_wipes_finds_its_way_back_and_wipes_nothing_twice(tmp_path):
    with WholeSite(tmp_path, machines=2, wipe_s=8, boot_s=0.2) as site:
        site.accept_all()
        site.until(lambda rack: all(m.wiping for m in rack.machines), 30, "wipes begin")
        site.redis.flushall()
        site.ready_and_off(100)
        counts = site.counts()
        assert (counts["wipe begun"], counts["wipe done"]) == (2, 2)
        commands = site.thread.call(site.thread.rack.commands)
        assert commands["poweroff"] == 2 and not commands["poweron"] and not commands["reboot"]
        assert site.complaints() == []


def test_omni_away_during_wipes_their_records_are_written_when_it_is_back(tmp_path):
    with WholeSite(tmp_path, machines=2, wipe_s=6, boot_s=0.2) as site:
        site.accept_all()
        site.until(lambda rack: all(m.wiping for m in rack.machines), 30, "wipes begin")
        site.until(lambda rack: all(prefers_off(rack.observe(m)) for m in rack.machines), 10, "Omni knows them")
        site.thread.wait(site.thread.rack.stop_omni)
        site.until(lambda rack: not any(m.wiping for m in rack.machines), 30, "wipes end")
        commands = site.thread.call(site.thread.rack.commands)
        assert not commands["poweroff"]  # nothing begins meanwhile
        site.thread.wait(site.thread.rack.start_omni)
        site.ready_and_off()
        counts = site.counts()
        assert (counts["wipe begun"], counts["wipe done"]) == (2, 2)
        assert site.complaints() == []
