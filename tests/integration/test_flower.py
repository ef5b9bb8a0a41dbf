"""Flower beside the real processes: what it shows of failures, what it starts, and to whom."""

import base64
import contextlib
import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request

import pytest

from app.bundled_redis import server_binary
from lab.ports import free_port
from tests.integration.children import marked_processes, wait_until
from tests.integration.whole_site import WholeSite

pytestmark = [pytest.mark.integration, pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")]

# It gives way to the other processes while all start on two busy cores.
UP_S = 60
WORDS = "failed to wipe disks: /dev/sda: input/output error"


class Page:
    """Flower as a browser or a script sees it."""

    def __init__(self, port, state_dir):
        self.url = f"http://127.0.0.1:{port}"
        self.password_file = state_dir / "flower-password"

    @property
    def password(self):
        return self.password_file.read_text()

    def ask(self, path, body=None, login=None):
        """Status and text of the answer."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data)
        if login:
            request.add_header("Authorization", "Basic " + base64.b64encode(login.encode()).decode())
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def get(self, path, body=None):
        status, text = self.ask(path, body, f"admin:{self.password}")
        assert status == 200, (path, status, text[:500])
        return text

    def up(self):
        with contextlib.suppress(OSError):
            return self.ask("/healthcheck")[0] == 200
        return False

    def tasks(self):
        return json.loads(self.get("/api/tasks"))

    def failed_wipes(self):
        return [task for task in self.tasks().values() if (task["name"], task["state"]) == ("wipe", "FAILURE")]

    def started(self, task, machine_id):
        return json.loads(self.get(f"/api/task/async-apply/{task}", {"kwargs": {"machine_id": machine_id}}))["task-id"]

    def ended(self, task_id):
        """What came of a task, once it has ended and Flower knows."""

        def known():
            status, text = self.ask(f"/api/task/info/{task_id}", login=f"admin:{self.password}")
            info = json.loads(text) if status == 200 else {}
            return info if info.get("state") in ("SUCCESS", "FAILURE") else None

        return wait_until(known, 30)


def test_failed_wipes_are_seen_and_tried_by_hand_and_kept(tmp_path):
    with WholeSite(tmp_path, flower=True, machines=1, fail_wipes=3, wipe_s=0.5, boot_s=0.2) as site:
        flower = Page(site.flower_port, site.settings.state_dir)
        wait_until(flower.up, UP_S)
        site.accept_all()
        [machine] = site.machines
        failed = wait_until(lambda: len(found := flower.failed_wipes()) == 3 and found, 60)
        for task in failed:
            assert machine.id in task["kwargs"]
            assert WORDS in task["exception"]
            assert task["worker"].startswith("wipe@")

        by_hand = flower.ended(flower.started("wipe", machine.id))
        assert (by_hand["state"], by_hand["worker"].partition("@")[0]) == ("SUCCESS", "wipe")
        assert "skipped" not in by_hand["result"]
        assert site.counts()["wipe done"] == 1
        site.ready_and_off()

        again = flower.ended(flower.started("wipe", machine.id))
        assert "skipped: " in again["result"]
        assert flower.ended(flower.started("power_off", machine.id))["worker"].startswith("bmc@")
        wrong = flower.ended(flower.started("wipe", "no-machine"))
        assert "'no-machine' is not a UUID" in wrong["exception"]
        wait_until(lambda: {task["state"] for task in flower.tasks().values()} == {"SUCCESS", "FAILURE"}, 20)

        shown = set(flower.tasks())
        site.kill("flower", signal.SIGTERM)
        wait_until(lambda: not flower.up(), 20)
        wait_until(flower.up, UP_S)
        assert shown <= set(flower.tasks())
        assert len(flower.failed_wipes()) == 4


def test_password_is_asked_for_and_is_on_no_command_line(tmp_path):
    with WholeSite(tmp_path, flower=True, machines=1) as site:
        flower = Page(site.flower_port, site.settings.state_dir)
        wait_until(flower.up, UP_S)
        kwargs = {"kwargs": {"machine_id": site.machines[0].id}}
        for login in (None, "admin:", "admin:wrong", f"other:{flower.password}"):
            assert flower.ask("/", login=login)[0] == 401
            assert flower.ask("/api/tasks", login=login)[0] == 401
            assert flower.ask("/api/task/async-apply/wipe", kwargs, login=login)[0] == 401
        assert flower.ask("/", login=f"admin:{flower.password}")[0] == 200
        assert flower.password_file.stat().st_mode & 0o777 == 0o600
        assert not [command for command in marked_processes(tmp_path).values() if flower.password in command]
        assert flower.password not in site.log.read_text()


def test_password_of_redis_is_on_no_page(tmp_path):
    port, flower_port, log = free_port(), free_port(), tmp_path / "log"
    options = [
        "--omni-api-endpoint=http://127.0.0.1:1",
        "--api-advertise-address=127.0.0.1",
        f"--state-dir={tmp_path / 'state'}",
        f"--flower-listen=127.0.0.1:{flower_port}",
    ]
    environ = {name: value for name, value in os.environ.items() if not name.startswith("OMNI_")}
    environ["OMNI_METAL_REDIS_URL"] = f"redis://:sesame-redis@127.0.0.1:{port}/0"
    commands = [
        [
            *(server_binary(), "--port", str(port), "--bind", "127.0.0.1"),
            *("--requirepass", "sesame-redis", "--save", ""),
        ],
        [sys.executable, "-P", "-m", "app.cli", "worker", "wipe", *options],
        [sys.executable, "-P", "-m", "app.cli", "flower", *options],
    ]
    flower = Page(flower_port, tmp_path / "state")
    with log.open("w") as out:
        running = [subprocess.Popen(c, env=environ, stdout=out, stderr=out, cwd=tmp_path) for c in commands]
    try:
        wait_until(flower.up, UP_S)
        [worker] = wait_until(lambda: list(json.loads(flower.get("/api/workers?refresh=1"))), UP_S)
        paths = ["/", "/broker", "/tasks", f"/worker/{worker}", "/api/workers", "/api/queues/length", "/metrics"]
        pages = {path: flower.get(path) for path in paths}
        assert "broker_url" in pages["/api/workers"]
        assert "wipe" in pages["/api/queues/length"]
        assert not [path for path, text in pages.items() if "sesame-redis" in text]
    finally:
        for process in running:
            process.kill()
            process.wait()
    assert "sesame-redis" not in log.read_text()
