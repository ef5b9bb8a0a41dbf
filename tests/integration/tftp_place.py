"""Our TFTP server as a process of its own, at a port of the test's own, and what is known of it."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from tests.free_ports import free_port
from tests.integration.children import wait_until

ROOT = Path(__file__).resolve().parents[2]
# On busy cores Python alone takes seconds to start.
START_S = 20
SMALL = os.urandom(2000)
BIG = os.urandom(1_048_576)
FILES = {"small.bin": SMALL, "big.bin": BIG, "empty": b"", "blocks.bin": bytes(1024), "amd64/snp.efi": b"snp"}


def free_udp_port():
    while True:
        port = free_port()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


class TftpPlace:
    """Use as a context manager."""

    def __init__(self, folder, *options, address="127.0.0.1"):
        self.port = free_udp_port()
        self.server = ("127.0.0.1", self.port)
        self.log = folder / "log"
        program = [sys.executable, "-m", "tests.netboot_clients.tftp_server"]
        self._command = [str(word) for word in (*program, address, self.port, folder / "files", *options)]
        for name, content in FILES.items():
            place = folder / "files" / name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content)

    def __enter__(self):
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(self._command, cwd=ROOT, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        wait_until(lambda: self.lines("tftp_serving") or self.process.poll() is not None, START_S)
        assert self.process.poll() is None, self.log.read_text()
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    def stop(self, number=signal.SIGTERM):
        """Ask it to end; its exit status and how long it took."""
        began_s = time.monotonic()
        self.process.send_signal(number)
        return self.process.wait(10), time.monotonic() - began_s

    def lines(self, event):
        """What it has logged of an event."""
        found = [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]
        return [line for line in found if line["event"] == event]

    def trouble(self):
        """What it has logged that no client may cause."""
        text = self.log.read_text()
        return [line for line in text.splitlines() if "Traceback" in line or not line.startswith("{")]

    def children(self):
        """The pids of its living children."""
        return [pid for pid, state in self._states().items() if state != "Z"]

    def zombies(self):
        """The pids of children that ended and were not collected."""
        return [pid for pid, state in self._states().items() if state == "Z"]

    def open_files(self):
        """How many files the listener's process has open."""
        return len(list(Path(f"/proc/{self.process.pid}/fd").iterdir()))

    def rss_kib(self):
        """The memory of the listener's process."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0])

    def _states(self):
        """Each child's state, as /proc tells it; not of those that end meanwhile."""
        pid, states = self.process.pid, {}
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            with contextlib.suppress(OSError):
                states[int(child)] = Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()[0]
        return states
