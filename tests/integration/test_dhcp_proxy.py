"""The DHCP proxy on a network: clients without an address, relays, bursts, floods, and other DHCP servers beside it."""

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.firmware.hosts import Host, Lan
from tests.netboot_clients.client import BootClient, burst, client_socket, flood
from tests.netboot_clients.nonsense import damaged, malformed
from tests.netboot_clients.packets import ACK, NAK, OFFER, REQUEST, ipxe, read, request
from tests.required import need

pytestmark = pytest.mark.integration

ROOT = Path(__file__).resolve().parents[2]
OURS, OURS_TOO, CLIENT, DNSMASQ = "10.77.0.2", "10.77.0.3", "10.77.0.50", "10.77.0.1"
SCRIPT = f"http://{OURS}:50042/ipxe/init.ipxe"
START_S = 20
# It takes a tenth of a second, and more where four processes share two cores.
STOP_S = 10
# An answer within this is "at once" on two busy cores; alone it takes a millisecond.
AT_ONCE_S = 2.0
# Python's allocator may take this much for what it has seen; a leak of 100 bytes a packet would be more.
RSS_BOUND_KIB = 2048


class Server:
    """A running DHCP proxy, and what it has logged."""

    def __init__(self, host, log, *words):
        self.log = log
        command = [sys.executable, "-m", "tests.netboot_clients.dhcp_server", *words]
        self.process = host.start(command, log, environ={**os.environ, "PYTHONPATH": str(ROOT)})
        self.wait_for("dhcp_proxy_serves")

    def lines(self, event):
        found = [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]
        return [line for line in found if line["event"] == event]

    def wait_for(self, event):
        until_s = time.monotonic() + START_S
        while not (found := self.lines(event)):
            assert time.monotonic() < until_s, f"no {event}: {self.log.read_text()}"
            assert self.process.poll() is None or event == "dhcp_proxy_stopped", self.log.read_text()
            time.sleep(0.02)
        return found

    def rss_kib(self):
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1])

    def stop(self):
        began_s = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(START_S) == 0
        assert time.monotonic() - began_s < STOP_S
        assert "Traceback" not in self.log.read_text()
        return self.wait_for("dhcp_proxy_stopped")[-1]


class Site:
    """A LAN with our host, a host that has no address yet, and one that has."""

    def __init__(self, stack):
        self.lan = stack.enter_context(Lan(77))
        self.ours, self.bare, self.client = (stack.enter_context(Host(name)) for name in ("ours", "bare", "client"))
        self.lan.plug(self.ours, 2)
        self.ours.ip("addr", "add", f"{OURS_TOO}/24", "dev", "eth0")
        self.lan.plug(self.bare, 49)
        self.bare.ip("addr", "flush", "dev", "eth0")
        self.lan.plug(self.client, 50)

    def boot_client(self, **what):
        return BootClient("eth0", self.bare.pid, **what)


@pytest.fixture(scope="module")
def site():
    need("" if os.geteuid() == 0 else "network namespaces need root")
    need("" if shutil.which("ip") and shutil.which("unshare") else "ip and unshare are missing: iproute2, util-linux")
    with contextlib.ExitStack() as stack:
        yield Site(stack)


@pytest.fixture
def server(site, tmp_path):
    running = Server(site.ours, tmp_path / "log", "eth0", OURS)
    yield running
    if running.process.poll() is None:
        running.stop()


@pytest.fixture
def dnsmasq(site, tmp_path):
    """Starts the network's own DHCP server on a host."""
    need("" if shutil.which("dnsmasq") else "dnsmasq is missing: apt-get install dnsmasq-base")
    started = []

    def start(host, *words):
        files = [f"--dhcp-leasefile={tmp_path}/leases", "--pid-file", "--conf-file=/dev/null"]
        where = ["--port=0", "--interface=eth0", "--dhcp-range=10.77.0.100,10.77.0.199", "--no-ping"]
        log = tmp_path / "dnsmasq.log"
        started.append(host.start(["dnsmasq", "-d", "--user=root", *files, *where, *words], log))
        until_s = time.monotonic() + START_S
        while "sockets bound" not in log.read_text() and "IP range" not in log.read_text():
            assert time.monotonic() < until_s, log.read_text()
            time.sleep(0.02)
        return started[-1]

    yield start
    for process in started:
        process.terminate()
        process.wait()


@pytest.mark.parametrize(
    ("arch", "options", "boot_file"),
    [
        (0, {}, "undionly.kpxe"),
        (7, {}, "snp.efi"),
        (22, {}, "snp-arm64.efi"),
        (16, {}, f"http://{OURS}:50042/tftp/amd64/snp.efi"),
        (0, ipxe(), SCRIPT),
    ],
    ids=["bios", "uefi", "u-boot", "http", "ipxe"],
)
def test_machine_is_offered_and_then_acknowledged_its_boot_file(site, server, arch, options, boot_file):
    with site.boot_client(arch=arch, options=options) as machine:
        [offer] = machine.offers()
        assert offer.source == (OURS, 67)
        assert (offer.answer.boot_file, offer.answer.yiaddr) == (boot_file, "0.0.0.0")
        acknowledged = machine.acknowledged(offer.answer.server, CLIENT, at=site.client.pid)
        assert acknowledged.source == (OURS, 4011)
        assert (acknowledged.answer.boot_file, acknowledged.answer.ciaddr) == (boot_file, CLIENT)
        assert [line["mac"] for line in server.lines("dhcp_offered")] == [machine.mac]
        assert [line["boot_file"] for line in server.wait_for("dhcp_acknowledged")] == [boot_file]


def test_acknowledgement_goes_back_to_any_port_and_from_the_address_that_was_asked(site, server):
    with site.boot_client() as machine:
        for ours in (OURS, OURS_TOO):
            assert machine.acknowledged(ours, CLIENT, port=2345, at=site.client.pid).source == (ours, 4011)


def test_relay_is_answered_at_port_67(site, server):
    with client_socket("eth0", 67, site.client.pid) as relay:
        relay.settimeout(5)
        relay.sendto(request(arch=7, giaddr=CLIENT, options={82: b"\1\4port"}), (OURS, 67))
        packet, source = relay.recvfrom(4096)
    answer = read(packet)
    assert (answer.message, answer.giaddr, answer.options[82]) == (OFFER, CLIENT, b"\1\4port")
    assert source == (OURS, 67)


def test_machine_on_another_interface_hears_nothing(site, server):
    with Lan(78) as other, Host("elsewhere") as elsewhere:
        other.plug(site.ours, 2, "eth1")
        other.plug(elsewhere, 50)
        with BootClient("eth0", elsewhere.pid) as machine:
            assert machine.offers(wait_s=0.5) == []
            assert machine.acknowledged("10.78.0.2", wait_s=0.5) is None
    assert server.stop()["received"] == 0


def test_client_without_need_of_a_boot_file_hears_nothing(site, server):
    with site.boot_client(options={93: None, 60: b"MSFT 5.0"}) as laptop:
        assert laptop.offers(wait_s=0.5) == []
    assert server.stop()["ignored"] == {"no boot client: without architecture (option 93)": 1}


def test_answer_that_cannot_be_sent_is_told_and_the_next_machine_is_answered(site, server):
    packet = request()
    from_port_0 = struct.pack("!HHHH", 0, 67, 8 + len(packet), 0) + packet
    with client_socket("eth0", 0, site.client.pid, kind=socket.SOCK_RAW) as raw:
        raw.sendto(from_port_0, (OURS, 0))
    [failed] = server.wait_for("dhcp_send_failed")
    assert (failed["address"], failed["reason"]) == (CLIENT, "Invalid argument")
    with site.boot_client() as machine:
        assert machine.offers()


def test_interface_that_goes_down_and_comes_back_is_served_again(site, server):
    site.ours.ip("link", "set", "eth0", "down")
    time.sleep(0.2)
    site.ours.ip("link", "set", "eth0", "up")
    with site.boot_client() as machine:
        until_s = time.monotonic() + START_S
        while not machine.offers(wait_s=0.5):
            assert time.monotonic() < until_s


def test_interface_that_is_taken_away_ends_the_proxy_with_a_word(site, tmp_path):
    with Lan(79) as lan:
        lan.plug(site.ours, 2, "eth2")
        server = Server(site.ours, tmp_path / "log", "eth2", "10.79.0.2")
        site.ours.ip("link", "delete", "eth2")
        assert server.process.wait(START_S) == 0
        assert server.lines("dhcp_interface_gone")


def test_burst_of_3000_machines_is_answered_without_a_loss(site, server, record_property):
    result = burst("eth0", site.bare.pid, count=3000, size=500)
    record_property("burst", result.words)
    sys.stderr.write(f"\n3,000 DISCOVERs in bursts of 500: {result.words}\n")
    assert result.answered == 3000
    # Lines are fewer in a fast flood, and then it says so; the counters are whole.
    stopped = server.stop()
    assert stopped["answered"] == {"offer": 3000}
    left_out = sum(line["lines"] for line in server.lines("dhcp_lines_left_out"))
    assert len(server.lines("dhcp_offered")) + left_out == 3000


def test_10000_malformed_packets_do_no_harm(site, server):
    # What is loaded once, and as many packets in memory as ever wait there.
    flood("eth0", malformed(4000, 1), site.client.pid, server=OURS, at_once=4000)
    before_kib = server.rss_kib()
    assert flood("eth0", malformed(10_000, 2), site.client.pid, server=OURS) == 0
    flood("eth0", damaged(2000, 3), site.client.pid, server=OURS)
    with site.boot_client() as machine:
        began_s = time.monotonic()
        assert machine.offers(wait_s=AT_ONCE_S)
        assert time.monotonic() - began_s < AT_ONCE_S
        assert machine.acknowledged(OURS, CLIENT, wait_s=AT_ONCE_S, at=site.client.pid)
    grown_kib = server.rss_kib() - before_kib
    assert grown_kib < RSS_BOUND_KIB, f"{grown_kib} KiB more than before"
    stopped = server.stop()
    assert stopped["received"] > 25_000, "the flood did not arrive"
    assert stopped["broke"] == 0
    assert server.lines("dhcp_broke") == []


def test_dry_run_tells_the_verdict_on_each_packet_and_sends_nothing(site, tmp_path):
    server = Server(site.ours, tmp_path / "log", "eth0", OURS, "--dry-run")
    with site.boot_client(arch=7) as machine:
        assert machine.offers(wait_s=0.5) == []
        assert machine.acknowledged(OURS, CLIENT, wait_s=0.5, at=site.client.pid) is None
    with site.boot_client(options={93: None}) as laptop:
        assert laptop.offers(wait_s=0.5) == []
    verdicts = [line["verdict"] for line in server.lines("dhcp_dry_run")]
    assert verdicts == [
        "would send OFFER",
        "would send ACK",
        "ignored: no boot client: without architecture (option 93)",
    ]
    server.stop()


def test_network_with_a_dhcp_server_has_two_offers_one_with_an_address_and_one_with_a_boot_file(
    site, server, dnsmasq
):
    with Host("dhcp") as other:
        site.lan.plug(other, 1)
        dnsmasq(other)
        with site.boot_client() as machine:
            offers = {heard.source[0]: heard.answer for heard in machine.offers()}
    assert offers[OURS].boot_file == "undionly.kpxe"
    assert offers[OURS].yiaddr == "0.0.0.0"
    assert offers[DNSMASQ].yiaddr.startswith("10.77.0.1")
    assert offers[DNSMASQ].boot_file == ""


@pytest.mark.parametrize("first", ["dnsmasq", "ours"])
def test_dnsmasq_with_bind_interfaces_on_the_same_host_hears_each_broadcast_too(site, tmp_path, dnsmasq, first):
    if first == "dnsmasq":
        dnsmasq(site.ours, "--bind-interfaces")
    server = Server(site.ours, tmp_path / "log", "eth0", OURS)
    if first == "ours":
        dnsmasq(site.ours, "--bind-interfaces")
    for _ in range(5):
        with site.boot_client() as machine:
            heard = machine.offers()
        assert sorted(one.answer.boot_file for one in heard) == ["", "undionly.kpxe"]
    server.stop()


def test_dnsmasq_on_the_whole_port_67_keeps_us_out_and_4011_still_serves(site, tmp_path, dnsmasq):
    dnsmasq(site.ours, "--dhcp-option-force=60,PXEClient")
    command = [sys.executable, "-m", "tests.netboot_clients.dhcp_server", "eth0", OURS]
    with pytest.raises(subprocess.CalledProcessError) as refused:
        site.ours.run(command, timeout=START_S, cwd=ROOT)
    assert "--disable-dhcp-proxy-broadcast" in refused.value.stderr
    assert "--bind-interfaces" in refused.value.stderr
    server = Server(site.ours, tmp_path / "log", "eth0", OURS, "4011")
    with site.boot_client() as machine:
        [offer] = machine.offers()
        assert offer.answer.options[60] == b"PXEClient"
        acknowledged = machine.acknowledged(offer.answer.server, CLIENT, at=site.client.pid)
    assert acknowledged.answer.boot_file == "undionly.kpxe"
    server.stop()


def test_user_without_rights_is_told_which_one_is_missing(site):
    program = "import os; from netboot.dhcp.sockets import open_socket; os.setuid(65534); open_socket('eth0', 67)"
    with pytest.raises(subprocess.CalledProcessError) as refused:
        site.ours.run([sys.executable, "-c", program], timeout=START_S, cwd=ROOT)
    assert "StartError: UDP port 67 on eth0 may not be used by this user" in refused.value.stderr


@pytest.fixture(params=[False, True], ids=["one interface", "several"])
def interfaces(site, request):
    """What dnsmasq is told of its interfaces; it binds its socket to the one only where there is one."""
    with contextlib.ExitStack() as stack:
        if request.param:
            stack.enter_context(Lan(81)).plug(site.ours, 2, "eth3")
            yield ["--interface=eth3", "--dhcp-range=10.81.0.100,10.81.0.199"]
            # With its network the kernel does it later, when the next one is here.
            site.ours.ip("link", "delete", "eth3")
        else:
            yield []


@pytest.mark.parametrize("first", ["dnsmasq", "ours"])
def test_lease_is_renewed_with_the_dhcp_server_on_our_host(site, tmp_path, dnsmasq, interfaces, first):
    if first == "dnsmasq":
        dnsmasq(site.ours, "--bind-interfaces", *interfaces)
    server = Server(site.ours, tmp_path / "log", "eth0", OURS)
    if first == "ours":
        dnsmasq(site.ours, "--bind-interfaces", *interfaces)
    with client_socket("eth0", 68, site.client.pid) as renewing:
        renewing.settimeout(5)
        no_boot = {57: None, 60: None, 93: None, 94: None, 97: None}
        renewing.sendto(request(REQUEST, ciaddr=CLIENT, flags=0, options=no_boot), (OURS, 67))
        assert read(renewing.recv(4096)).message in {ACK, NAK}
    assert server.stop()["received"] == 0


def test_what_opens_the_ports_does_not_load_scapy():
    program = (
        "import sys, netboot.dhcp.interface, netboot.dhcp.ports, netboot.dhcp.site, netboot.dhcp.sockets;"
        "sys.exit(any(name.startswith('scapy') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False, cwd=ROOT, timeout=60).returncode == 0
