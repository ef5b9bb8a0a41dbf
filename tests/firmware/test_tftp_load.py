"""Many TFTP clients at once, of several makes: each file arrives whole, and in at most twice dnsmasq's time."""

import os
import shutil
import sys
import time
from pathlib import Path

import pytest

from tests.firmware.hosts import Host
from tests.integration.children import wait_until
from tests.netboot_clients.tftp import TftpClient
from tests.required import need

pytestmark = pytest.mark.firmware

ROOT = Path(__file__).resolve().parents[2]
ADDRESS, PORT, NAME = "127.0.0.1", 69, "big.bin"
CONTENT = os.urandom(1_048_576)
# What a client runs to put the file into $out.
PROGRAMS = {
    "curl": f"curl --silent --fail --tftp-blksize 1428 --output $out tftp://{ADDRESS}/{NAME}",
    "tftp": f"tftp -m binary {ADDRESS} -c get {NAME} $out",
    "atftp": f'atftp --option "blksize 1428" --get --remote-file {NAME} --local-file $out {ADDRESS}',
}
PACKAGES = {"tftp": "tftp-hpa"}
# The best of so many: other tests may be at work.
ROUNDS = 3
AT_MOST = 2.0
START_S = 30
OURS, SINGLE, DNSMASQ = "ours", "ours, single port", "dnsmasq"


@pytest.fixture(scope="module")
def servers(namespaces, tmp_path_factory):
    """Each server alone on a host, at port 69 of its loopback, by its name."""
    folder = tmp_path_factory.mktemp("tftp")
    files = folder / "files"
    files.mkdir()
    (files / NAME).write_bytes(CONTENT)
    ours = [sys.executable, "-m", "tests.netboot_clients.tftp_server", ADDRESS, PORT, files]
    dnsmasq = ["dnsmasq", "--conf-file=/dev/null", "--no-daemon", "--pid-file=", "--port=0"]
    tftp = ["--enable-tftp", f"--tftp-root={files}", "--tftp-max=200", "--log-facility=-"]
    commands = {OURS: ours, SINGLE: [*ours, "--single-port"], DNSMASQ: [*dnsmasq, *tftp]}
    with Host(OURS) as one, Host(SINGLE) as other, Host(DNSMASQ) as third:
        hosts = dict(zip(commands, (one, other, third), strict=True))
        for name, host in hosts.items():
            host.start(commands[name], folder / f"{name}.log", environ={**os.environ, "PYTHONPATH": str(ROOT)})
        for host in hosts.values():
            wait_until(lambda host=host: answers(host), START_S)
        yield hosts


def answers(host):
    with host.call(TftpClient, (ADDRESS, PORT), ADDRESS, 1.0) as client:
        try:
            return client.fetch(NAME, "blksize", "1428") == CONTENT
        except OSError:  # it does not listen yet
            return False


def download(host, command, count, folder):
    """Have so many clients get the file at once; how many seconds it took. Each must have it whole."""
    folder.mkdir()
    one = f"out={folder}/$n; {command} >/dev/null"
    script = f"n=0; while [ $n -lt {count} ]; do ( {one} ) & n=$((n + 1)); done; wait"
    began_s = time.monotonic()
    host.run(["sh", "-c", script])
    took_s = time.monotonic() - began_s
    whole = [place for place in folder.iterdir() if place.read_bytes() == CONTENT]
    shutil.rmtree(folder)
    assert len(whole) == count
    return took_s


@pytest.mark.parametrize("program", PROGRAMS)
def test_50_clients_need_at_most_twice_what_they_need_with_dnsmasq(program, row, servers, tmp_path):
    need("" if shutil.which(program) else f"not installed: {PACKAGES.get(program, program)}")
    best_s = dict.fromkeys(servers, float("inf"))
    for number in range(ROUNDS):
        for name, host in servers.items():
            if name == SINGLE and number:
                continue  # nothing is promised of it
            took_s = download(host, PROGRAMS[program], 50, tmp_path / f"{name} {number}".replace(" ", "-"))
            best_s[name] = min(best_s[name], took_s)
    times = ", ".join(f"{name} {seconds:.2f} s" for name, seconds in best_s.items())
    row(f"50 x 1 MiB by TFTP with {program}: {times}", best_s[OURS])
    assert best_s[OURS] <= AT_MOST * best_s[DNSMASQ], times


@pytest.mark.parametrize("name", [OURS, SINGLE])
def test_200_clients_at_once_all_get_their_file(name, row, servers, tmp_path):
    took_s = download(servers[name], PROGRAMS["curl"], 200, tmp_path / "out")
    row(f"200 x 1 MiB by TFTP with curl, {name}", took_s)
