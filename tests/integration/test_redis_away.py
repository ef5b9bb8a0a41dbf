"""Each process alone, started before its Redis: it says so, and goes on when Redis has come."""

import json
import os
import subprocess
import sys
import time

import pytest

from app.bundled_redis import BundledRedis, server_binary
from tests.free_ports import free_port
from tests.integration.children import MARK, wait_until

pytestmark = pytest.mark.integration

ALL = ["web", "gateway", "watcher", "worker bmc", "worker poll", "worker wipe", "beat", "flower"]
# What Celery and Flower say of each attempt themselves, at growing distances, and each process of its own start.
MOST_LINES = 8


class Alone:
    """A process alone, with this Redis."""

    def __init__(self, process, folder, redis_url):
        self.log, self.out = folder / "log", folder / "out"
        environ = {name: value for name, value in os.environ.items() if not name.startswith("OMNI_")}
        options = [
            "--omni-api-endpoint=http://127.0.0.1:1",
            "--api-advertise-address=127.0.0.1",
            "--disable-dhcp-proxy",
            f"--state-dir={folder / 'state'}",
            f"--api-port={free_port()}",
            f"--gateway-listen=127.0.0.1:{free_port()}",
            f"--flower-listen=127.0.0.1:{free_port()}",
        ]
        with self.log.open("w") as log, self.out.open("w") as out:
            self.child = subprocess.Popen(
                [sys.executable, "-P", "-m", "app.cli", *process.split(), *options],
                env={**environ, MARK: str(folder), "OMNI_METAL_REDIS_URL": redis_url},
                stdout=out,
                stderr=log,
            )

    def said(self, event):
        lines = [json.loads(line) for line in self.log.read_text().splitlines(keepends=True) if line.endswith("\n")]
        return [line for line in lines if line["event"] == event]

    def end(self):
        self.child.terminate()
        self.child.wait(timeout=15)


@pytest.fixture
def start(tmp_path):
    """Start a process; it is ended after the test."""
    made = []

    def go(process, redis_url):
        made.append(Alone(process, tmp_path, redis_url))
        return made[-1]

    yield go
    for alone in made:
        alone.end()


@pytest.mark.parametrize("process", ALL)
def test_process_without_redis_says_why_and_what_to_do_and_when_it_is_back(process, start, tmp_path):
    server = BundledRedis(tmp_path / "redis", tmp_path, os.environ)
    alone = start(process, server.url)
    try:
        [away] = wait_until(lambda: alone.said("redis_away"), 30)
        assert away["address"] == server.url
        assert "does not answer" in away["reason"]
        assert "--redis-url" in away["remedy"]
        server.start()
        assert wait_until(lambda: alone.said("redis_back"), 15)
        assert alone.child.poll() is None
        assert len(alone.said("redis_away")) == 1
        alone.end()
        # said() has read all of the log as JSON; nothing else is written anywhere.
        assert alone.said("redis_back")
        assert alone.out.read_text() == ""
    finally:
        server.child.kill()


@pytest.fixture
def locked_redis(tmp_path):
    """The address of a Redis with a password."""
    port = free_port()
    server = subprocess.Popen(
        [server_binary(), "--port", str(port), "--requirepass", "right", "--save", "", "--dir", str(tmp_path)],
        stdout=subprocess.DEVNULL,
    )
    yield f"127.0.0.1:{port}"
    server.kill()
    server.wait()


@pytest.mark.parametrize("process", ALL)
def test_wrong_password_is_said_once_without_it_and_floods_no_log(process, start, locked_redis):
    alone = start(process, f"redis://:canary-5Gt@{locked_redis}/0")
    [away] = wait_until(lambda: alone.said("redis_away"), 30)
    assert away["address"] == f"redis://{locked_redis}/0"
    assert away["reason"] == "refuses the login: wrong user or password"
    assert away["remedy"] == "correct user and password in --redis-url"
    time.sleep(6)  # long enough for the next look, and for three more attempts by Celery
    assert alone.child.poll() is None
    assert len(alone.said("redis_away")) == 1
    text = alone.log.read_text()
    assert len(text.splitlines()) <= MOST_LINES
    assert "canary-5Gt" not in text
    assert "Traceback" not in text


@pytest.mark.parametrize("command", ["machines", "retry 11111111"])
def test_command_with_a_wrong_password_is_one_line_with_status_1(command, locked_redis, tmp_path):
    done = subprocess.run(
        [sys.executable, "-P", "-m", "app.cli", *command.split(), f"--state-dir={tmp_path / 'state'}"],
        env={**os.environ, "OMNI_METAL_REDIS_URL": f"redis://:canary-5Gt@{locked_redis}/0"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    [line] = done.stderr.splitlines()
    assert f"Redis at redis://{locked_redis}/0 refuses the login: wrong user or password; correct user" in line
    assert "canary-5Gt" not in line
