"""The processes that agents meet, as they run in production: `web` with the public port, and `gateway`."""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from pathlib import Path

import redis

from app.agents.client import GatewayClient
from app.state.agents import AgentLookup
from app.state.mirror import Mirror
from app.state.secrets import gateway_token, sealer
from config.settings import load
from tests.free_ports import free_port
from tests.integration.children import MARK, marked_processes, wait_until

ROOT = Path(__file__).resolve().parents[2]
# A Python process starts in a second, and in ten on two cores with other work.
START_LIMIT_S = 60
# Processes that are told to end are gone after 10 s.
END_LIMIT_S = 15


class Provider:
    """Use as a context manager. extra: options of the command line."""

    def __init__(self, server, *extra):
        # The paths of its sockets must stay short.
        self._folder = tempfile.TemporaryDirectory(prefix="om")
        self.folder = Path(self._folder.name)
        self.port, self.tls_port = free_port(), free_port()
        self.options = [
            "--omni-api-endpoint=http://127.0.0.1:1",
            "--api-advertise-address=127.0.0.1",
            "--api-listen-address=127.0.0.1",
            f"--api-port={self.port}",
            f"--tls-api-port={self.tls_port}",
            f"--redis-url={server.url}",
            f"--state-dir={self.folder / 'state'}",
            f"--gateway-listen=127.0.0.1:{free_port()}",
            "--web-workers=1",
            "--disable-dhcp-proxy",
            *extra,
        ]
        self.settings = load(self.options, {})
        self.redis = redis.Redis.from_url(server.url)
        self.mirror = Mirror(self.redis, sealer(self.settings))
        self.workers = GatewayClient(self.redis, gateway_token(self.settings), call_timeout_s=10)
        self.lookup = AgentLookup(self.redis)
        self.processes = {}

    def __enter__(self):
        try:
            self.start("gateway")
            self.start("web")
            wait_until(lambda: self._answers() and self._gateway_listens(), START_LIMIT_S)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for process in self.processes.values():
            process.terminate()
        for process in self.processes.values():
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(END_LIMIT_S)
            process.kill()
            process.wait()
        self.workers.close()
        self.redis.close()
        left = marked_processes(str(self.folder))
        self._folder.cleanup()
        assert not left

    @property
    def plain(self):
        """Where agents dial without TLS, as the kernel argument says it."""
        return f"127.0.0.1:{self.port}"

    @property
    def secure(self):
        """Where they dial with TLS."""
        return f"https://127.0.0.1:{self.tls_port}"

    @property
    def log(self):
        return (self.folder / "log").read_text()

    def start(self, name):
        environ = {name: value for name, value in os.environ.items() if not name.startswith("OMNI_")}
        with (self.folder / "log").open("a") as log:
            self.processes[name] = subprocess.Popen(
                [sys.executable, "-P", "-m", "app.cli", name, *self.options],
                cwd=ROOT,
                env={**environ, MARK: str(self.folder)},
                stdout=log,
                stderr=log,
            )

    def end(self, name, number=signal.SIGTERM):
        process = self.processes.pop(name)
        process.send_signal(number)
        return process.wait(END_LIMIT_S)

    def holds(self, agent):
        """Whether the tunnel of an agent is registered and has answered."""
        return int(self.redis.hget(f"om:agent:{agent.id}", "hello_ms") or 0) > 0

    def _answers(self):
        with contextlib.suppress(OSError):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{self.port}/healthz", timeout=5).close()
            except urllib.error.HTTPError as error:
                error.close()
            return True
        return False

    def _gateway_listens(self):
        return (self.settings.run_dir / "gateway.sock").exists()
