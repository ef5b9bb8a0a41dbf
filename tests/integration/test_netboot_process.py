"""`omni-metal netboot` on a host of its own: what it may do, what it survives, what it leaves behind (nothing)."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from config.forgetting import SECRET_VARIABLES
from config.paths import run_dir_path
from tests.firmware.hosts import Host, Lan
from tests.integration.children import marked_processes, wait_until
from tests.integration.netboot_place import (
    ADDRESS,
    BINARIES,
    HOLDER,
    NOBODY,
    SILENT_S,
    NetbootHost,
    all_children,
    can_run,
    parent_of,
    rights,
)
from tests.netboot_clients.client import BootClient, client_socket
from tests.required import need

pytestmark = pytest.mark.integration

SYSTEM_PYTHON = "/usr/bin/python3"
ROOT = Path(__file__).resolve().parents[2]
# Starts netboot as `run` does, and waits.
PARENT = """
import os, sys, time
from app.child import Child
Child("netboot", [sys.executable, "-P", "-m", "app.cli", "netboot", *sys.argv[1:]], os.environ).start()
time.sleep(1000)
"""
AS_NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
MAY_BIND = ("--inh-caps=+net_bind_service", "--ambient-caps=+net_bind_service")


@pytest.fixture
def host(tmp_path):
    need(can_run())
    with NetbootHost(tmp_path) as made:
        yield made


def test_ports_are_tried_without_loading_what_serves_them():
    code = "import sys, netboot.main; print(*sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"scapy", "fbtftp", "redis", "grpc", "celery"} & set(found)


def test_all_processes_serve_without_any_right(host):
    process = host.up(host.start())
    for pid in (process.pid, *host.children(process.pid).values()):
        found = rights(pid)
        assert found["Uid"] == found["Gid"] == [NOBODY] * 4
        assert found["Groups"] == []
        assert {found[name][0] for name in ("CapInh", "CapPrm", "CapEff", "CapAmb")} == {"0" * 16}
        assert found["NoNewPrivs"] == ["1"]
    [offer] = host.offers()
    assert (offer.boot_file, offer.siaddr) == ("undionly.kpxe", ADDRESS)
    assert host.fetched("snp.efi") == BINARIES["snponly.efi"]
    assert b"boot.ipxe" in host.fetched("autoexec.ipxe")
    [said] = [event for event in host.events() if event["event"] == "netboot_open"]
    assert (said["interface"], said["ports"], said["user"]) == ("lo", [67, 4011, 69], "nobody")


def test_no_process_keeps_a_secret_of_the_environment(host):
    given = dict.fromkeys(SECRET_VARIABLES, "sesame-sesame-sesame") | {"OMNI_METAL_REDIS_URL": "redis://:sesame@h/0"}
    process = host.up(host.start(environ=given))
    for pid in (process.pid, *host.children(process.pid).values()):
        shown = Path(f"/proc/{pid}/environ").read_bytes()
        assert b"OMNI_SERVICE_ACCOUNT_KEY=" in shown
        assert b"sesame" not in shown


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_ends_it_soon_with_status_0(host, number):
    process = host.up(host.start())
    process.send_signal(number)
    assert process.wait(timeout=10) == 0
    assert "process_killed" not in host.names()
    assert not marked_processes(host.folder)
    host.up(host.start())  # the ports are free again


def test_kill_9_leaves_no_child(host):
    process = host.up(host.start())
    process.kill()
    process.wait()
    wait_until(lambda: not marked_processes(host.folder), 3)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 0), (signal.SIGKILL, -signal.SIGKILL)])
def test_end_during_a_transfer_leaves_no_transfer(host, number, status):
    process = host.up(host.start())
    with client_socket("lo", 0, host.host.pid) as asking:
        asking.settimeout(5)
        asking.sendto(b"\0\1snp.efi\0octet\0", (ADDRESS, 69))
        asking.recv(1024)  # and no acknowledgement: the transfer waits for it, for seconds
        assert len(marked_processes(host.folder)) == 4
        process.send_signal(number)
        assert process.wait(timeout=4) == status
        wait_until(lambda: not marked_processes(host.folder), 3)


def test_first_process_of_a_container_keeps_no_dead(host):
    """There the transfers of a TFTP child that was killed become its own."""
    unsharing = host.up(host.start(python=("unshare", "--pid", "--fork", "--kill-child", sys.executable)))
    [first] = [pid for pid in marked_processes(host.folder) if parent_of(pid) == unsharing.pid]
    tftp = host.children(first)["netboot-tftp"]
    with client_socket("lo", 0, host.host.pid) as asking:
        asking.settimeout(5)
        asking.sendto(b"\0\1snp.efi\0octet\0", (ADDRESS, 69))
        asking.recv(1024)
        os.kill(tftp, signal.SIGKILL)
    wait_until(lambda: host.children(first).get("netboot-tftp", tftp) != tftp, 10)
    wait_until(lambda: all_children(first) == set(host.children(first).values()), 5)


def test_end_of_whoever_started_it_ends_it_although_its_user_has_changed(host):
    log = host.folder / "log"
    parent = host.host.start([sys.executable, "-c", PARENT, *host.options()], log, host.environ())
    wait_until(lambda: "tftp_serving" in host.names() and "dhcp_proxy_serves" in host.names(), 20)
    parent.kill()
    parent.wait()
    wait_until(lambda: not marked_processes(host.folder), 3)


@pytest.mark.parametrize("child", ["netboot-dhcp", "netboot-tftp"])
def test_child_that_is_killed_is_started_again_and_answers(host, child):
    process = host.up(host.start())
    first = host.children(process.pid)
    os.kill(first[child], signal.SIGKILL)

    def again():
        found = host.children(process.pid)
        return found.keys() == first.keys() and found[child] != first[child] and found

    second = wait_until(again, 5)
    wait_until(host.answers)
    assert rights(second[child])["Uid"] == [NOBODY] * 4
    [ended] = [event for event in host.events() if event["event"] == "process_ended"]
    assert (ended["child"], ended["how"]) == (child, "killed by SIGKILL")


def test_interface_that_is_taken_away_ends_it_and_a_new_start_serves_the_new_one(host):
    def plug():
        host.host.ip("link", "add", "eth9", "type", "veth", "peer", "name", "eth10")
        host.host.ip("link", "set", "eth9", "up")

    plug()
    words = ("--dhcp-proxy-iface-or-ip=eth9", "--api-advertise-address=192.0.2.7")
    process = host.up(host.start(*words))
    host.host.ip("link", "delete", "eth9")
    assert process.wait(timeout=10) == 1
    assert "eth9 was taken away" in host.said()
    assert not marked_processes(host.folder)
    plug()
    host.up(host.start(*words))


@pytest.mark.parametrize("words", [(), ("--dry-run",)])
def test_second_one_is_refused_and_takes_nothing_from_the_first(host, words):
    first = host.up(host.start())
    log, host.log = host.log, host.folder / "second"
    assert host.start(*words).wait(20) == 1
    [line] = host.said().splitlines()
    host.log = log
    assert "UDP port 4011 on lo is in use" in line
    assert "(process " in line
    with BootClient("lo", at=host.host.pid) as client:
        [offer] = client.offers()
        assert client.acknowledged(offer.answer.server, ADDRESS, port=2345)
    assert first.poll() is None


def test_program_that_its_user_cannot_read_starts_its_children_again_too(host):
    """As where it lies in the home directory of root."""
    program = host.folder / "program"
    for package in ("app", "config", "netboot", "protos"):
        shutil.copytree(ROOT / package, program / package, ignore=shutil.ignore_patterns("__pycache__"))
    program.chmod(0o700)
    process = host.up(host.start(environ={"PYTHONPATH": str(program)}))
    for pid in host.children(process.pid).values():
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: host.names().count("process_ended") == 2 and len(host.children(process.pid)) == 2, 5)
    wait_until(host.answers)


def test_dry_run_tells_and_answers_nothing(host):
    host.up(host.start("--dry-run"))
    assert host.offers(wait_s=SILENT_S) == []
    assert host.fetched("snp.efi", SILENT_S) is None
    dhcp, tftp = wait_until(lambda: len(told := [e for e in host.events() if "verdict" in e]) == 2 and told)
    assert dhcp["verdict"] == "would send OFFER"
    assert "snp.efi" in str(tftp)


def test_broadcasts_are_not_listened_to_where_that_is_switched_off(host):
    host.up(host.start("--disable-dhcp-proxy-broadcast"))
    assert host.offers(wait_s=SILENT_S) == []
    assert [event["ports"] for event in host.events() if event["event"] == "netboot_open"] == [[4011, 69]]


def test_sign_of_life_is_shown_after_its_folder_is_out_of_reach(host):
    process = host.up(host.start())
    sign = run_dir_path(host.folder / "state") / "alive" / f"netboot@{socket.gethostname()}"
    os.utime(sign, (1, 1))
    wait_until(lambda: sign.stat().st_mtime > 1, 8)
    os.kill(process.pid, signal.SIGSTOP)
    os.utime(sign, (1, 1))
    time.sleep(6)
    assert sign.stat().st_mtime == 1
    os.kill(process.pid, signal.SIGCONT)


def test_firmware_on_another_host_is_told_that_hosts_own_address_where_it_is_named(host):
    host.up(host.start("--api-advertise-address=192.0.2.7", f"--dhcp-proxy-iface-or-ip={ADDRESS}"))
    [offer] = host.offers()
    assert (offer.siaddr, offer.server, offer.boot_file) == (ADDRESS, ADDRESS, "undionly.kpxe")
    assert host.fetched("snp.efi") == BINARIES["snponly.efi"]
    assert b"http://192.0.2.7:50042/" in host.fetched("autoexec.ipxe")
    assert "netboot_told_elsewhere" not in host.names()


def test_firmware_on_another_host_needs_the_advertise_address_alone(host):
    with Lan(9) as lan, Host("machine") as machine:
        lan.plug(host.host, 2, "eth9")
        lan.plug(machine, 3)
        host.up(host.start("--api-advertise-address=192.0.2.7"))
        with BootClient("eth0", at=machine.pid) as client:
            [offer] = [heard.answer for heard in client.offers()]
    assert (offer.siaddr, offer.server, offer.options[66]) == ("10.9.0.2", "10.9.0.2", b"10.9.0.2")
    [taken] = [event for event in host.events() if event["event"] == "netboot_interface_taken"]
    [opened] = [event for event in host.events() if event["event"] == "netboot_open"]
    assert (taken["interface"], taken["address"]) == ("eth9", "10.9.0.2")
    assert (opened["address"], opened["provider"]) == ("10.9.0.2", "http://192.0.2.7:50042")


def with_two_interfaces(host):
    for number in (9, 11):
        host.host.ip("link", "add", f"eth{number}", "type", "veth", "peer", "name", f"far{number}")
        host.host.ip("link", "set", f"eth{number}", "up")
        host.host.ip("address", "add", f"10.{number}.0.2/24", "dev", f"eth{number}")


def test_several_interfaces_of_another_host_are_named(host):
    with_two_interfaces(host)
    assert host.start("--api-advertise-address=192.0.2.7").wait(20) == 1
    assert "there are eth9 (10.9.0.2), eth11 (10.11.0.2); name one with --dhcp-proxy-iface-or-ip" in host.said()


def test_advertise_address_on_another_interface_of_this_host_is_served_with_a_warning(host):
    with_two_interfaces(host)
    host.up(host.start("--api-advertise-address=10.11.0.2", "--dhcp-proxy-iface-or-ip=10.9.0.2"))
    [said] = [event for event in host.events() if event["event"] == "netboot_told_of_another_interface"]
    assert said["address"] == "10.11.0.2"
    assert "--dhcp-proxy-iface-or-ip" in said["remedy"]


def test_interface_without_the_advertise_address_is_served_with_a_warning(host):
    host.up(host.start("--api-advertise-address=192.0.2.7", "--dhcp-proxy-iface-or-ip=lo"))
    [offer] = host.offers()
    assert offer.siaddr == "192.0.2.7"
    [said] = [event for event in host.events() if event["event"] == "netboot_told_elsewhere"]
    assert "--dhcp-proxy-iface-or-ip" in said["remedy"]


def python_for_all():
    """A Python that every user may run, with the packages of this one; None: there is none."""
    shared = [path for path in sys.path if path.endswith("site-packages")]
    path = os.pathsep.join([str(ROOT), *shared])
    if not shutil.which("setpriv"):
        return None
    for python in (sys.executable, SYSTEM_PYTHON):
        command = [*AS_NOBODY, python, "-P", "-c", "import netboot.dhcp.proxy, netboot.tftp.server, app.cli"]
        given = {**os.environ, "PYTHONPATH": path}
        if not subprocess.run(command, env=given, capture_output=True, check=False).returncode:
            return python, path
    return None


@pytest.fixture
def other_user(host):
    """What starts the program as another user than root."""
    found = python_for_all()
    if found is None:
        pytest.skip("root alone may read the Python here")
    python, path = found
    public = Path(tempfile.mkdtemp(prefix="om-netboot-", dir="/tmp"))  # those of tests are root's
    shutil.copytree(host.ipxe, public / "ipxe")
    (public / "state").mkdir()
    for folder in (public, public / "state"):
        os.chown(folder, 65534, 65534)

    def start(*rights, further=()):
        options = (f"--ipxe-path={public / 'ipxe'}", f"--state-dir={public / 'state'}", *further)
        return host.start(*options, python=(*AS_NOBODY, *rights, python), environ={"PYTHONPATH": path})

    start.closed = public / "closed"
    start.closed.mkdir(mode=0o700)
    yield start
    shutil.rmtree(public)


def test_user_with_the_one_capability_serves_and_gives_it_up(host, other_user):
    process = host.up(other_user(*MAY_BIND))
    for pid in (process.pid, *host.children(process.pid).values()):
        found = rights(pid)
        assert found["Uid"] == [NOBODY] * 4
        assert {found[name][0] for name in ("CapInh", "CapPrm", "CapEff", "CapAmb")} == {"0" * 16}
    assert host.answers()


def test_user_who_may_not_read_the_state_directory_is_told_or_served_without_it(host, other_user):
    own = f"--state-dir={other_user.closed / 'state'}"
    assert other_user(*MAY_BIND, further=(own, "--ipxe-path=")).wait(20) == 1
    assert re.fullmatch(r"omni-metal: the iPXE binaries in .*/closed/state/ipxe cannot be .*\n", host.said())
    host.up(other_user(*MAY_BIND, further=(own,)))
    assert "netboot_shows_no_sign" in host.names()
    assert host.answers()


def test_user_without_rights_is_told_what_is_missing(host, other_user):
    assert other_user().wait(20) == 1
    [line] = host.said().splitlines()
    assert "port 67" in line
    assert "CAP_NET_BIND_SERVICE" in line


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["--netboot-user=nosuch"], 1, "--netboot-user: there is no user 'nosuch' on this host"),
        (["--netboot-user=root"], 1, "--netboot-user: root keeps all rights"),
        (["--dhcp-proxy-iface-or-ip=eth9"], 1, "--dhcp-proxy-iface-or-ip: eth9 is neither an interface"),
        (["--api-advertise-address=192.0.2.7"], 1, "=192.0.2.7 is not this host's, and no interface here has an IPv4"),
        (["--api-advertise-address=127.0.1.1", "--dhcp-proxy-iface-or-ip=lo0"], 1, "lo0 is neither an interface"),
        (["--api-advertise-address=127.0.1.1"], 1, "127.0.1.1: is for this host alone"),
        (["--api-advertise-address=fd00::7"], 1, "--disable-dhcp-proxy"),
        (["--ipxe-path=/nowhere"], 1, "undionly.kpxe is missing"),
        (["--nope"], 2, "--nope (command line)"),
    ],
)
def test_what_is_missing_or_wrong_is_one_message(host, words, status, said):
    process = host.start(*words)
    assert process.wait(20) == status
    assert said in host.said()
    assert "Traceback" not in host.said()
    assert not marked_processes(host.folder)


def test_netboot_that_is_switched_off_waits_without_a_port_and_without_rights(host):
    """What keeps it running, such as compose, would start it again and again if it ended."""
    process = host.start("--disable-dhcp-proxy", "--ipxe-path=/nowhere")
    sign = run_dir_path(host.folder / "state") / "alive" / f"netboot@{socket.gethostname()}"
    wait_until(lambda: sign.exists() and sign.read_bytes(), 20)
    assert rights(process.pid)["Uid"] == [NOBODY] * 4
    assert rights(process.pid)["CapPrm"] == ["0" * 16]
    assert len(Path(f"/proc/{process.pid}/net/udp").read_text().splitlines()) == 1
    assert host.children(process.pid) == {}
    [said] = host.events()
    assert said["event"] == "netboot_has_nothing_to_do"
    assert "OMNI_METAL_DISABLE_DHCP_PROXY" in said["remedy"]
    process.terminate()
    assert process.wait(timeout=4) == 0


@pytest.mark.parametrize(("port", "remedy"), [(67, "--bind-interfaces"), (4011, "end that one"), (69, "TFTP")])
def test_port_that_another_program_has_is_named_with_it(host, port, remedy):
    held = host.host.start([sys.executable, "-c", HOLDER, port], host.folder / "holder")
    wait_until(lambda: f":{port:04X} " in Path(f"/proc/{held.pid}/net/udp").read_text())
    assert host.start().wait(20) == 1
    [line] = host.said().splitlines()
    assert f"port {port}" in line
    assert remedy in line
    assert f"(process {held.pid})" in line
