"""`omni-metal run` with all its real processes, and an Omni that does not answer: started, kept up, gone."""

import base64
import json
import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request

import pytest

from app.supervisor import PROCESSES
from config.settings import load
from tests.free_ports import free_port
from tests.integration.children import MARK, marked_processes, wait_until

pytestmark = [pytest.mark.integration, pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")]

# Eight Python processes on two busy cores.
START_TIMEOUT_S = 45
# It needs ports below 1024, which the host has once: tests/integration/test_run_netboot.py has a host of its own.
STARTED = PROCESSES.keys() - {"netboot"}
SECRETS = {"api-token": "canary-token-7Hgf5", "flower-password": "canary-password-9Jhg4"}


def listens(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Provider:
    """A running `omni-metal run`."""

    def __init__(self, folder):
        self.mark = str(folder)
        self.port, self.gateway_port, self.flower_port = free_port(), free_port(), free_port()
        self.log, self.state_dir = folder / "log", folder / "state"
        environ = {name: value for name, value in os.environ.items() if not name.startswith("OMNI_")}
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [
                    *(sys.executable, "-P", "-m", "app.cli", "run"),
                    "--omni-api-endpoint=http://127.0.0.1:1",
                    "--api-advertise-address=127.0.0.1",
                    "--disable-dhcp-proxy",
                    f"--state-dir={self.state_dir}",
                    f"--api-port={self.port}",
                    f"--gateway-listen=127.0.0.1:{self.gateway_port}",
                    f"--flower-listen=127.0.0.1:{self.flower_port}",
                    *(f"--{name}={value}" for name, value in SECRETS.items()),
                ],
                env={**environ, MARK: self.mark},
                stderr=log,
                start_new_session=True,
            )

    def up(self):
        """Whether all ports answer and each process is there."""
        assert self.process.poll() is None, self.log.read_text()
        ports = (self.port, self.gateway_port, self.flower_port)
        return all(map(listens, ports)) and all(map(self.pids_of, STARTED))

    def pids_of(self, name):
        wanted = f"-m app.cli {' '.join(PROCESSES[name])} "
        return [pid for pid, command in marked_processes(self.mark).items() if wanted in f"{command} "]

    def showing_secrets(self):
        """The processes on whose command lines a secret stands."""
        commands = marked_processes(self.mark).items()
        return {pid for pid, command in commands if any(value in command for value in SECRETS.values())}

    def flower_status(self, password):
        """What Flower answers to a login."""
        login = base64.b64encode(f"admin:{password}".encode()).decode()
        address = f"http://127.0.0.1:{self.flower_port}/"
        request = urllib.request.Request(address, headers={"Authorization": f"Basic {login}"})
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status
        except urllib.error.HTTPError as error:
            with error:
                return error.code

    def events(self):
        lines = [line for line in self.log.read_text().splitlines() if line.startswith("{")]
        return [json.loads(line) for line in lines]


@pytest.fixture
def provider(tmp_path):
    running = Provider(tmp_path)
    yield running
    running.process.kill()
    running.process.wait()
    for pid in marked_processes(running.mark):
        os.kill(pid, signal.SIGKILL)


def test_whole_provider_comes_up_without_omni_and_leaves_nothing_behind(provider):
    wait_until(provider.up, START_TIMEOUT_S)
    [said] = [event for event in provider.events() if event["event"] == "omni_unreachable"]
    assert said["endpoint"] == "http://127.0.0.1:1"
    assert "--omni-api-endpoint" in said["remedy"]
    assert not provider.pids_of("netboot")
    assert provider.showing_secrets() == {provider.process.pid}
    assert provider.flower_status(SECRETS["flower-password"]) == 200
    assert provider.flower_status("another") == 401
    provider.process.send_signal(signal.SIGINT)
    assert provider.process.wait(timeout=10) == 0
    assert not marked_processes(provider.mark)
    assert not any(map(listens, (provider.port, provider.gateway_port, provider.flower_port)))


def test_each_process_shows_that_it_works_until_it_hangs(provider):
    folder = load([], {"OMNI_METAL_STATE_DIR": str(provider.state_dir)}, client=True).run_dir / "alive"
    host = socket.gethostname()
    signs = {f"{name}@{host}" for name in STARTED if name != "web"}  # web has /healthz
    wait_until(lambda: folder.exists() and {path.name for path in folder.iterdir()} == signs, START_TIMEOUT_S)

    def shown():
        return {path.name: path.stat().st_mtime for path in folder.iterdir()}

    before = shown()
    [hanging] = provider.pids_of("worker-wipe")
    os.kill(hanging, signal.SIGSTOP)
    wait_until(
        lambda: {name for name, at in shown().items() if at > before[name]} >= signs - {f"worker-wipe@{host}"}, 40
    )
    before = shown()
    wait_until(lambda: shown()[f"watcher@{host}"] > before[f"watcher@{host}"], 20)
    assert shown()[f"worker-wipe@{host}"] == before[f"worker-wipe@{host}"]


def test_killed_process_is_started_again_and_kill_9_of_the_supervisor_ends_all(provider):
    wait_until(provider.up, START_TIMEOUT_S)
    [old] = provider.pids_of("beat")
    os.kill(old, signal.SIGKILL)
    wait_until(lambda: [pid for pid in provider.pids_of("beat") if pid != old])
    provider.process.kill()
    wait_until(lambda: not marked_processes(provider.mark))
    assert not listens(provider.port)
