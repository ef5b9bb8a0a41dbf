"""What the doctor says of DHCP proxy, TFTP and iPXE, on a host of its own: before the start and beside others."""

import json
import sys
from pathlib import Path

import pytest

from tests.integration.children import wait_until
from tests.integration.netboot_place import HOLDER, NetbootHost, can_run
from tests.required import need

pytestmark = pytest.mark.integration

OMNI = "--omni-api-endpoint=http://127.0.0.1:1"


@pytest.fixture
def host(tmp_path):
    need(can_run())
    with NetbootHost(tmp_path) as made:
        yield made


def asked(host, *words):
    """The verdicts of `netboot` and `ipxe`, and all that they say."""
    command = [sys.executable, "-P", "-m", "app.cli", "doctor", "--json", OMNI, *host.options(*words)]
    done = host.host.start(command, host.folder / "told", host.environ())
    done.wait(60)
    told = (host.folder / "told").read_text()
    (host.folder / "told").unlink()
    checks = {check["check"]: check for check in json.loads(told[told.index("{\n") :])["checks"]}
    return checks["netboot"]["verdict"], checks["ipxe"]["verdict"], json.dumps([checks["netboot"], checks["ipxe"]])


def test_ports_that_are_free_and_binaries_that_are_there_are_fine(host):
    netboot, ipxe, said = asked(host)
    assert (netboot, ipxe) == ("ok", "ok")
    assert "67 is free" in said
    assert "has your own" in said


def test_our_own_netboot_is_known_with_its_process(host):
    process = host.up(host.start())
    netboot, _, said = asked(host)
    assert netboot == "ok"
    assert said.count(f"held by our own netboot (process {process.pid})") == 3
    assert host.answers()


@pytest.mark.parametrize(
    ("port", "remedy"), [(67, "--bind-interfaces"), (4011, "another DHCP proxy"), (69, "enable-tftp")]
)
def test_port_of_a_stranger_is_said_with_the_remedy(host, port, remedy):
    held = host.host.start([sys.executable, "-c", HOLDER, port], host.folder / "holder")
    wait_until(lambda: f":{port:04X} " in Path(f"/proc/{held.pid}/net/udp").read_text())
    netboot, _, said = asked(host)
    assert netboot == "failed"
    assert remedy in said
    assert f"(process {held.pid})" in said


def test_port_that_others_share_can_be_had(host):
    held = host.host.start([sys.executable, "-c", HOLDER, "67", "shared"], host.folder / "holder")
    wait_until(lambda: ":0043 " in Path(f"/proc/{held.pid}/net/udp").read_text())
    netboot, _, said = asked(host)
    assert netboot == "ok"
    assert "67 can be had, beside" in said


def test_binaries_and_interfaces_that_are_missing_are_said_as_far_as_they_count_here(host):
    assert asked(host, "--ipxe-path=/nowhere", "--dhcp-proxy-iface-or-ip=eth9")[:2] == ("failed", "failed")
    elsewhere = asked(host, "--ipxe-path=/nowhere", "--dhcp-proxy-iface-or-ip=eth9", "--redis-url=redis://127.0.0.1:1")
    assert elsewhere[:2] == ("warning", "warning")
    assert "in a container of its own" in elsewhere[2]
