"""A host of its own on which a test runs `omni-metal netboot`, and asks it as machines do."""

import contextlib
import json
import os
import re
import shutil
import struct
import sys
from pathlib import Path

from tests.firmware.hosts import Host
from tests.integration.children import MARK, marked_processes, wait_until
from tests.netboot_clients.client import BootClient, client_socket

BINARIES = {name: name.encode() * 10 for name in ("undionly.kpxe", "ipxe-amd64.efi", "snponly.efi", "ipxe-arm64.efi")}
ADDRESS = "127.0.0.1"
NOBODY = "65534"
UP_S = 20
# What a server that must not answer is given to do so; a good one needs milliseconds.
SILENT_S = 1.5
READ, DATA, ACK = 1, 3, 4
BLOCK_BYTES = 512
# Has the UDP port argv[1], and lets others share it where there is an argv[2].
HOLDER = """
import socket, sys, time
held = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, len(sys.argv) > 2)
held.bind(("", int(sys.argv[1])))
time.sleep(1000)
"""


def can_run():
    """Why no host can be made here, or nothing."""
    if os.geteuid() != 0:
        return "a network of its own, and ports below 1024, need root"
    missing = [program for program in ("unshare", "nsenter", "ip") if not shutil.which(program)]
    return f"needs {', '.join(missing)}" if missing else ""


class NetbootHost:
    """Use as a context manager; whatever runs here at the end is ended, and nothing may be left."""

    def __init__(self, folder):
        self.folder = folder
        self.host = Host("netboot")
        self.ipxe = folder / "ipxe"
        self.ipxe.mkdir()
        for name, content in BINARIES.items():
            (self.ipxe / name).write_bytes(content)
        self.log = folder / "log"

    def __enter__(self):
        self.host.__enter__()
        return self

    def __exit__(self, *_):
        self.host.__exit__()
        wait_until(lambda: not marked_processes(self.folder))

    def environ(self, **more):
        given = {name: value for name, value in os.environ.items() if not name.startswith("OMNI_")}
        return given | {MARK: str(self.folder)} | more

    def options(self, *further):
        own = (f"--api-advertise-address={ADDRESS}", f"--state-dir={self.folder / 'state'}", f"--ipxe-path={self.ipxe}")
        return [*own, *further]

    def start(self, *words, python=(sys.executable,), environ=None, command="netboot"):
        """Start the program here, without waiting for it."""
        self.log.unlink(missing_ok=True)
        line = [*python, "-P", "-m", "app.cli", command, *self.options(*words)]
        return self.host.start(line, self.log, self.environ(**(environ or {})))

    def up(self, process):
        """Wait until both children serve."""

        def serves():
            assert process.poll() is None, self.said()
            return {"dhcp_proxy_serves", "tftp_serving"} <= set(self.names())

        wait_until(serves, UP_S)
        return process

    def said(self):
        return self.log.read_text() if self.log.exists() else ""

    def events(self):
        return [json.loads(line) for line in self.said().splitlines() if line.startswith("{")]

    def names(self):
        return [event["event"] for event in self.events()]

    def children(self, parent):
        """Process ids of the living children of a process, by name."""
        own = [pid for pid in marked_processes(self.folder) if parent_of(pid) == parent]
        return {Path(f"/proc/{pid}/comm").read_text().strip(): pid for pid in own}

    def offers(self, **how):
        with BootClient("lo", at=self.host.pid, mac=f"52:54:00:00:01:{os.urandom(1).hex()}") as client:
            return [heard.answer for heard in client.offers(**how)]

    def fetched(self, name, wait_s=5.0):
        """A file by TFTP; None: no answer at all."""
        return fetch(name, wait_s, self.host.pid)

    def answers(self):
        """Whether a machine gets an offer and its file now."""
        return bool(self.offers(wait_s=SILENT_S)) and self.fetched("snp.efi", SILENT_S) == BINARIES["snponly.efi"]


def all_children(parent):
    """Process ids of the children of a process, dead ones that it has not buried too."""
    return {int(path.name) for path in Path("/proc").glob("[0-9]*") if parent_of(int(path.name)) == parent}


def parent_of(pid):
    with contextlib.suppress(OSError):
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    return 0


def fetch(name, wait_s=5.0, at=None):
    """A file by TFTP from the loopback of a process' network; None: no answer at all."""
    content, number = b"", 0
    with client_socket("lo", 0, at) as asking:
        asking.settimeout(wait_s)
        asking.sendto(struct.pack("!H", READ) + name.encode() + b"\0octet\0", (ADDRESS, 69))
        while len(content) == number * BLOCK_BYTES:
            try:
                packet, source = asking.recvfrom(1024)
            except TimeoutError:
                assert not number, f"block {number + 1} of {name} did not come"
                return None
            number += 1
            assert struct.unpack_from("!HH", packet) == (DATA, number), packet
            content += packet[4:]
            asking.sendto(struct.pack("!HH", ACK, number), source)
    return content


def rights(pid):
    """What /proc says of a process' users, groups and capabilities."""
    status = Path(f"/proc/{pid}/status").read_text()
    return {name: value.split() for name, value in re.findall(r"^(\w+):[ \t]*(.*)$", status, re.MULTILINE)}
