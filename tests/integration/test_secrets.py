"""Canaries: secrets are given to a whole site, work is done and fails there, and then every byte of it is searched."""

import base64
import json
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from app.omni.account import read_account
from app.omni.kinds import Kind
from protos.gen.omni import specs_pb2
from tests.integration.children import marked_processes, wait_until
from tests.integration.whole_site import WholeSite, free_port

pytestmark = [pytest.mark.integration, pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")]

API_TOKEN = "canary-token-98hGFrtY65"
USERS_PASSWORD = "canary-pass-Uhgt67Bvc"
UP_S = 60


class Searched:
    """Everything that was found of a site, by the place where it was found."""

    def __init__(self, site):
        self.site = site
        self.flower_password = (site.settings.state_dir / "flower-password").read_text().strip()
        self.places = {}

    def look(self):
        """Collect it all."""
        for path in self.site.folder.rglob("*"):
            if path.is_file() and path.name != "flower-password":
                self.places[str(path.relative_to(self.site.folder))] = path.read_bytes()
        self.places["redis"] = b"\n".join(dump(self.site.redis))
        for pid in marked_processes(self.site.folder):
            self.places[f"command line of {pid}"] = Path(f"/proc/{pid}/cmdline").read_bytes()
        bearer = {"Authorization": f"Bearer {API_TOKEN}"}
        machine = self.site.machines[0].id
        own = f"http://127.0.0.1:{self.site.port}"
        api = [f"/api/v1/machines{path}" for path in ("", f"/{machine}", f"/{machine}/explain", f"/{machine}/history")]
        for path in (*api, "/api/v1/machines/nobody", "/metrics", "/readyz", "/healthz", "/", f"/machines/{machine}"):
            self.places[path] = fetch(own + path, bearer)
        basic = {"Authorization": "Basic " + base64.b64encode(f"admin:{self.flower_password}".encode()).decode()}
        flower = f"http://127.0.0.1:{self.site.flower_port}"
        for path in ("/", "/workers", "/tasks", "/broker", "/api/workers?refresh=1", "/api/tasks", "/metrics"):
            self.places["flower" + path] = fetch(flower + path, basic)
        for task_id in decoded(self.places["flower/api/tasks"]):
            self.places[f"flower/task/{task_id}"] = fetch(f"{flower}/task/{task_id}", basic)
        for name in decoded(self.places["flower/api/workers?refresh=1"]):
            self.places[f"flower/worker/{name}"] = fetch(f"{flower}/worker/{name}", basic)
        where = [f"--redis-url={self.site.settings.redis_url}", f"--state-dir={self.site.settings.state_dir}"]
        for command in (["machines"], ["machines", "--json"], ["retry", machine, "--wait=0"]):
            ended = subprocess.run(
                [sys.executable, "-m", "app.cli", *command, *where],
                capture_output=True,
                timeout=60,
                check=False,
                env=self.site.environ,
            )
            self.places[" ".join(command)] = ended.stdout + ended.stderr

    def holding(self, secret):
        """The places that hold a secret, as it is or encoded."""
        forms = {secret.encode(), secret.encode().hex().encode(), base64.b64encode(secret.encode()).rstrip(b"=")}
        return sorted(place for place, data in self.places.items() if any(form in data for form in forms))


def fetch(url, headers):
    """The answer and its headers, whatever its status."""
    request = urllib.request.Request(url, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.read() + str(answer.headers).encode()
    except urllib.error.HTTPError as error:
        with error:
            return error.read() + str(error.headers).encode()


def decoded(answer):
    """The JSON before the headers."""
    return json.JSONDecoder().raw_decode(answer.decode())[0]


def dump(client):
    """All keys of Redis with what they hold."""
    readers = {
        b"string": client.get,
        b"hash": client.hgetall,
        b"list": lambda key: client.lrange(key, 0, -1),
        b"set": client.smembers,
        b"zset": lambda key: client.zrange(key, 0, -1),
        b"none": lambda _: "gone meanwhile",
    }
    for key in client.scan_iter(count=1000):
        yield key
        yield repr(readers[client.type(key)](key)).encode()


def give_login(rack, machine_id):
    """A user's login, with the HTTP API kind beside it."""
    config = specs_pb2.InfraMachineBMCConfigSpec()
    config.ipmi.address, config.ipmi.username, config.ipmi.password = "127.0.0.1", "admin", USERS_PASSWORD
    machine = next(m for m in rack.machines if m.id == machine_id)
    config.api.address = machine.bmc.address
    rack.omni.set_bmc_config(machine_id, config)


def test_no_secret_is_in_logs_redis_pages_api_flower_metrics_command_lines_or_errors(tmp_path):
    rack_options = {"machines": 3, "wipe_s": 0.2, "boot_s": 0.2, "secure": True}
    options = ("--debug", "--operation-attempts=1", "--tls-enabled", f"--tls-api-port={free_port()}")
    site = WholeSite(tmp_path, *options, flower=True, **rack_options)
    site.environ = {"OMNI_METAL_API_TOKEN": API_TOKEN}
    with site:
        users, agents, refused = site.machines
        rack = site.thread.rack
        agents.ipmi = refused.ipmi = ("192.0.2.7", 623)
        refused.refuse_bmc_users = 100
        site.thread.call(lambda: give_login(rack, users.id))
        site.accept_all()
        site.until(lambda _: rack.observe(users).ready and not users.powered_on, 60, "one machine is ready and off")
        site.until(lambda _: agents.passwords and refused.passwords, 30, "agents were given passwords")
        site.until(lambda _: rack.omni.get(Kind.BMC_CONFIGURATION, agents.id), 30, "one took it")
        site.thread.call(lambda: setattr(users.bmc, "refuse_with", 401))
        flower = f"http://127.0.0.1:{site.flower_port}/healthcheck"
        wait_until(lambda: answers(flower), UP_S)
        site.thread.call(lambda: rack.omni.signatures.forget(rack.key))
        wait_until(lambda: "invalid signature" in site.log.read_text(), UP_S)
        found = Searched(site)
        found.look()
        assert b"[password]: command failed" in found.places["log"]
        everywhere = {"log", "redis", "/api/v1/machines", "flower/api/tasks", "machines"}
        assert everywhere <= set(found.holding(users.id))  # the search does find
        secrets = [*parts_of(rack.key), API_TOKEN, USERS_PASSWORD, found.flower_password]
        secrets += agents.passwords + refused.passwords
        secrets += [agents.image.argument("talos.config.inline"), site.mirror.authority().key.splitlines()[1]]
        assert {secret: found.holding(secret) for secret in secrets} == {secret: [] for secret in secrets}


def parts_of(key):
    """What would give a service account key away."""
    private = read_account(key.variable).key.private.private_bytes_raw()
    lines = [line for line in key.armored.splitlines() if len(line) > 20 and not line.startswith("-----")]
    return [key.variable, key.variable[40:80], *lines, private.hex(), base64.b64encode(private).decode().rstrip("=")]


def answers(url):
    try:
        with urllib.request.urlopen(url, timeout=2):
            return True
    except OSError:
        return False
