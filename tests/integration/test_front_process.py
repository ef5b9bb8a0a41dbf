"""The web process as it runs in production: public port, splice and gunicorn behind it."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import uuid
from pathlib import Path

import pytest

from tests.free_ports import free_port
from tests.integration.children import MARK, marked_processes, wait_until

pytestmark = pytest.mark.integration


class Web:
    def __init__(self, state_dir, port):
        self.port = port
        self.mark = str(uuid.uuid4())
        options = {
            "--omni-api-endpoint": "http://127.0.0.1:1",
            "--api-advertise-address": "127.0.0.1",
            "--api-listen-address": "127.0.0.1",
            "--api-port": str(port),
            "--redis-url": "redis://127.0.0.1:1/0",
            "--state-dir": str(state_dir),
            "--web-workers": "1",
        }
        words = [word for option in options.items() for word in option]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "app.cli", "web", *words, "--disable-dhcp-proxy"],
            cwd=Path(__file__).parents[2],
            env=os.environ | {MARK: self.mark},
            stderr=subprocess.PIPE,
            text=True,
        )

    def status(self, path="/healthz"):
        """The HTTP status of a path; 0 where nobody answers."""
        with contextlib.suppress(OSError):
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as answer:
                    return answer.status
            except urllib.error.HTTPError as error:
                return error.code
        return 0

    def gunicorns(self):
        return {pid: command for pid, command in marked_processes(self.mark).items() if "gunicorn" in command}

    def end(self):
        self.process.kill()
        self.process.communicate()
        wait_until(lambda: not marked_processes(self.mark))


@pytest.fixture
def web():
    with tempfile.TemporaryDirectory(prefix="om") as state_dir:
        running = Web(state_dir, free_port())
        try:
            wait_until(lambda: running.status() == 200, 30)
            yield running
        finally:
            running.end()


def test_web_answers_and_ends_in_peace_leaving_nothing(web):
    with socket.create_connection(("127.0.0.1", web.port)) as idle:
        began = time.monotonic()
        web.process.send_signal(signal.SIGTERM)
        assert web.process.wait(10) == 0
        assert time.monotonic() - began < 9
        assert idle.recv(10) == b""
    assert not marked_processes(web.mark)
    assert web.status() == 0


def test_gunicorn_that_dies_is_started_again_and_clients_are_told_to_wait(web):
    for pid in web.gunicorns():
        os.kill(pid, signal.SIGKILL)
    seen = set()

    def serves_again():
        seen.add(web.status())
        return web.status() == 200 and 503 in seen

    wait_until(serves_again, 30)
    assert seen <= {0, 200, 503}  # 0: accepted by the one that was dying


def test_web_killed_with_nine_leaves_no_gunicorn(web):
    assert web.gunicorns()
    web.process.kill()
    wait_until(lambda: not marked_processes(web.mark))


def test_port_in_use_is_said_with_who_and_remedy(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        web = Web(tmp_path, port)
        _, words = web.process.communicate(timeout=30)
    assert web.process.returncode == 1
    [said] = [line for line in words.strip().splitlines() if not line.startswith("{")]  # the others are its log
    assert f"port {port} is in use" in said
    assert f"process {os.getpid()}" in said
    assert "--api-port" in said
