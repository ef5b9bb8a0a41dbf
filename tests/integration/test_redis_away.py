"""Each process alone, started before its Redis: it says so, and goes on when Redis has come."""

import json
import os
import socket
import subprocess
import sys

import pytest

from app.bundled_redis import BundledRedis
from tests.integration.children import MARK, wait_until

pytestmark = pytest.mark.integration


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.mark.parametrize("process", ["web", "gateway", "watcher", "worker bmc", "worker wipe", "beat", "flower"])
def test_process_without_redis_says_why_and_what_to_do_and_when_it_is_back(process, tmp_path):
    server = BundledRedis(tmp_path / "redis", tmp_path, os.environ)
    log = tmp_path / "log"
    environ = {name: value for name, value in os.environ.items() if not name.startswith("OMNI_")}
    options = [
        "--omni-api-endpoint=http://127.0.0.1:1",
        "--api-advertise-address=127.0.0.1",
        "--disable-dhcp-proxy",
        f"--state-dir={tmp_path / 'state'}",
        f"--redis-url={server.url}",
        f"--api-port={free_port()}",
        f"--gateway-listen=127.0.0.1:{free_port()}",
        f"--flower-listen=127.0.0.1:{free_port()}",
    ]
    with log.open("w") as output:
        child = subprocess.Popen(
            [sys.executable, "-P", "-m", "app.cli", *process.split(), *options],
            env={**environ, MARK: str(tmp_path)},
            stderr=output,
        )

    def said(event):
        lines = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
        return [line for line in lines if line["event"] == event]

    try:
        [away] = wait_until(lambda: said("redis_away"), 30)
        assert away["address"] == server.url
        assert "does not answer" in away["reason"]
        assert "--redis-url" in away["remedy"]
        server.start()
        assert wait_until(lambda: said("redis_back"), 15)
        assert child.poll() is None
        assert len(said("redis_away")) == 1
    finally:
        child.terminate()
        child.wait(timeout=15)
        server.child.kill()
