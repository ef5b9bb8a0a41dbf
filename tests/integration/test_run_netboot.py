"""`omni-metal run` with DHCP proxy and TFTP, on a host of its own: started, kept up, gone, or refused."""

import contextlib
import os
import re
import signal
from pathlib import Path

import pytest

from app.supervisor import PROCESSES
from lab.omni.keys import make_key
from tests.integration.children import marked_processes, wait_until
from tests.integration.netboot_place import BINARIES, NOBODY, NetbootHost, can_run, rights
from tests.required import need

pytestmark = pytest.mark.integration

OMNI = "--omni-api-endpoint=http://127.0.0.1:1"
KEY = make_key("bare-metal").variable
# Nine Python processes on two busy cores.
UP_S = 60


@pytest.fixture
def host(tmp_path):
    need(can_run())
    with NetbootHost(tmp_path) as made:
        yield made


def pids_of(host, name):
    wanted = f"-m app.cli {' '.join(PROCESSES[name])} "
    return [pid for pid, command in marked_processes(host.folder).items() if wanted in f"{command} "]


def started(host, *words, **how):
    process = host.start(OMNI, *words, command="run", **how)

    def serves():
        assert process.poll() is None, host.said()
        return "tftp_serving" in host.names() and all(pids_of(host, name) for name in PROCESSES)

    wait_until(serves, UP_S)
    return process


def test_machines_boot_by_run_alone_until_it_is_stopped(host):
    process = started(host, "--api-token=canary-1", environ={"OMNI_SERVICE_ACCOUNT_KEY": KEY})
    for pid in pids_of(host, "netboot"):
        assert rights(pid)["Uid"] == [NOBODY] * 4
        known = Path(f"/proc/{pid}/environ").read_bytes() + Path(f"/proc/{pid}/cmdline").read_bytes()
        assert not re.search(b"canary|SERVICE_ACCOUNT|REDIS", known)
    [offer] = host.offers()
    assert offer.boot_file == "undionly.kpxe"
    assert host.fetched("snp.efi") == BINARIES["snponly.efi"]
    for pid in pids_of(host, "netboot"):
        with contextlib.suppress(ProcessLookupError):  # those that serve end with the one that watches them
            os.kill(pid, signal.SIGKILL)
    wait_until(lambda: host.names().count("tftp_serving") == 2, UP_S)
    wait_until(host.answers)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=15) == 0
    assert not marked_processes(host.folder)


def test_kill_9_of_run_leaves_no_netboot(host):
    process = started(host)
    process.kill()
    process.wait()
    wait_until(lambda: not marked_processes(host.folder), 10)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--ipxe-path=/nowhere"], ["undionly.kpxe is missing", "--disable-dhcp-proxy"]),
        (["--netboot-user=nosuch"], ["there is no user 'nosuch'", "--disable-dhcp-proxy"]),
        (["--dhcp-proxy-iface-or-ip=eth9"], ["eth9 is neither an interface", "--disable-dhcp-proxy"]),
    ],
)
def test_run_that_could_not_start_netboot_starts_nothing(host, words, said):
    process = host.start(OMNI, *words, command="run")
    assert process.wait(30) == 1
    [line] = host.said().splitlines()
    assert all(word in line for word in said), line
    assert not marked_processes(host.folder)


def test_run_without_netboot_needs_nothing_of_it(host):
    process = host.start(OMNI, "--ipxe-path=/nowhere", "--disable-dhcp-proxy", command="run")
    wait_until(lambda: "starting" in host.names(), UP_S)
    process.terminate()
    assert process.wait(timeout=15) == 0
    assert not pids_of(host, "netboot")
