"""DHCP proxy and TFTP of a running provider under what anybody may send, and under many machines at once."""

import json
import os
import re
import signal
import time
from dataclasses import replace
from pathlib import Path

import pytest

from tests.firmware.clients import INTERFACE
from tests.firmware.downloads import downloads
from tests.integration.children import wait_until
from tests.netboot_clients.client import burst, flood
from tests.netboot_clients.nonsense import damaged, malformed
from tests.netboot_clients.tftp import TftpClient
from tests.netboot_clients.tftp_faults import FAULTS, NAME, commit

pytestmark = pytest.mark.firmware

# An answer within this is "at once": it takes a millisecond, behind up to a second of packets that still wait.
AT_ONCE_S = 2.0
# Of three processes. Python's allocator may take this much for what it has seen; a leak of 100 bytes a packet is more.
GROWN_KIB = 4096
# A file of the site that has two blocks at least, as the one has that the faults ask for.
OUR_NAME = b"autoexec.ipxe"
TFTP_PORT = 69
PROCESSES = 3
# A client that has answered once and then falls silent is given up after twelve seconds.
GIVEN_UP_S = 30
TFTP_ROUNDS = 5


def rss_kib(site):
    """The memory of the netboot process and its two children, when all that sends a file has ended."""
    pids = wait_until(lambda: len(found := netboot(site)) == PROCESSES and found, GIVEN_UP_S)
    statuses = [Path(f"/proc/{pid}/status").read_text() for pid in pids]
    return sum(int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) for status in statuses)


def netboot(site):
    return [pid for pid, command in site.processes().items() if "app.cli netboot" in command]


def serve_a_good_client_at_once(site, clients):
    began = time.monotonic()
    with clients.machine(0) as machine:
        # The other DHCP server may be faster, and the client, like firmware, asks again after a moment of silence.
        while not any(heard.source[0] == site.address for heard in machine.offers(wait_s=AT_ONCE_S)):
            assert time.monotonic() - began < AT_ONCE_S, "no offer"
        acknowledged = clients.acknowledged(machine, site.address, wait_s=AT_ONCE_S)
        assert acknowledged.answer.boot_file == "undionly.kpxe"
    with clients.settled.call(TftpClient, (site.address, TFTP_PORT), clients.address, AT_ONCE_S) as client:
        assert client.fetch("undionly.kpxe") == (downloads().ipxe / "undionly.kpxe").read_bytes()


def faults_of(site, child, event):
    """How many faults a child has counted, which it tells when it ends; it is started again."""
    [pid] = [pid for pid in netboot(site) if Path(f"/proc/{pid}/comm").read_text().strip() == child]
    told_before = len(site.logged())
    os.kill(pid, signal.SIGTERM)

    def told():
        return [line for line in site.logged()[told_before:].splitlines() if f'"{event}"' in line]

    [line] = wait_until(told, GIVEN_UP_S)
    return json.loads(line)["broke"]


def misuse_tftp(site, clients):
    for fault in FAULTS.values():
        ours = replace(fault, datagram=fault.datagram.replace(NAME.encode(), OUR_NAME))
        clients.settled.call(commit, ours, (site.address, TFTP_PORT), clients.address)


def test_10000_malformed_dhcp_packets_and_every_tftp_fault_do_no_harm(row, site, clients):
    at = clients.settled.pid
    # What is loaded once, is loaded now.
    flood(INTERFACE, malformed(1000, seed=1), at, site.address)
    flood(INTERFACE, damaged(1000, seed=4), at, site.address)
    misuse_tftp(site, clients)
    before_kib, said_before = rss_kib(site), len(site.logged())

    flood(INTERFACE, malformed(10_000, seed=2), at, site.address)
    flood(INTERFACE, damaged(2000, seed=3), at, site.address)
    serve_a_good_client_at_once(site, clients)
    for _ in range(TFTP_ROUNDS):
        misuse_tftp(site, clients)
    serve_a_good_client_at_once(site, clients)

    grown_kib = rss_kib(site) - before_kib
    row(f"10,000 malformed DHCP packets, {len(FAULTS)} TFTP faults {TFTP_ROUNDS} times: memory {grown_kib:+} KiB")
    assert grown_kib < GROWN_KIB
    said = site.logged()[said_before:]
    assert "Traceback" not in said
    assert '"dhcp_broke"' not in said and '"tftp_datagram_broke"' not in said and '"process_ended"' not in said
    assert faults_of(site, "netboot-dhcp", "dhcp_proxy_stopped") == 0
    assert faults_of(site, "netboot-tftp", "tftp_stopped") == 0


def test_3000_machines_in_bursts_of_500_are_all_answered(row, site, clients):
    result = burst(INTERFACE, clients.bare.pid, count=3000, size=500)
    row(f"3,000 DISCOVERs in bursts of 500: {result.words}", result.seconds)
    assert result.answered == 3000
