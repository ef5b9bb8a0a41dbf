"""Hosts and LANs for firmware tests: network namespaces without names, which end with the processes in them.

Each process is killed with the thread that started it, so nothing is left behind even where the tests are killed.
"""

import contextlib
import itertools
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.netboot_clients.client import enter_network

# A program that is asked to end gets this long: `omni-metal run` promises ten seconds.
STOP_S = 15
_numbers = itertools.count()
_numbering = threading.Lock()


class Host:
    """A host with a network of its own, at no LAN yet. Use as a context manager."""

    def __init__(self, name):
        """name: for people who read what failed."""
        self.name = name
        self._processes = []

    def __enter__(self):
        self._holder = subprocess.Popen([*_ends_with_us("KILL"), "unshare", "--net", "sleep", "infinity"])
        own = Path("/proc/self/ns/net").stat().st_ino
        while Path(f"/proc/{self.pid}/ns/net").stat().st_ino == own:
            assert self._holder.poll() is None, "no network namespace: is this root?"
        self.ip("link", "set", "lo", "up")
        return self

    def __exit__(self, *_):
        for process in reversed(self._processes):
            end(process)
        self._holder.kill()
        self._holder.wait()

    @property
    def pid(self):
        """A process in the host's network."""
        return self._holder.pid

    def start(self, command, log, environ=None):
        """Start a program here, its output in the file `log`; it is ended with the host at the latest."""
        with log.open("ab") as output:
            process = subprocess.Popen(
                [*_ends_with_us("TERM"), *self._here(command)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=environ,
            )
        self._processes.append(process)
        return process

    def run(self, command, **how):
        """Run a program here to its end; the answer is what it wrote."""
        return subprocess.run(self._here(command), check=True, capture_output=True, text=True, **how).stdout

    def call(self, function, *arguments):
        """Call a function whose sockets are to be here."""
        with ThreadPoolExecutor(1, initializer=enter_network, initargs=(self.pid,)) as one:
            return one.submit(function, *arguments).result()

    def answers(self, url):
        """Whether a URL is answered with success, asked from here."""
        command = ["curl", "--silent", "--fail", "--output", "/dev/null", "--max-time", "2", url]
        return subprocess.run(self._here(command), check=False).returncode == 0

    def ip(self, *words):
        return self.run(["ip", *words])

    def _here(self, command):
        return ["nsenter", f"--net=/proc/{self.pid}/ns/net", "--", *map(str, command)]


class Lan:
    """A switch, 10.NUMBER.0.0/24. Use as a context manager."""

    def __init__(self, number):
        self.network = f"10.{number}.0"
        self.switch = Host(f"switch of LAN {number}")

    def __enter__(self):
        self.switch.__enter__()
        self.switch.ip("link", "add", "br0", "type", "bridge")
        self.switch.ip("link", "set", "br0", "up")
        return self

    def __exit__(self, *_):
        self.switch.__exit__()

    def plug(self, host, last, interface="eth0"):
        """Give a host an interface at this LAN, with the address that ends with `last`; the answer is the address."""
        address = f"{self.network}.{last}"
        port = f"port{last}"
        self.switch.ip("link", "add", port, "type", "veth", "peer", "name", interface, "netns", str(host.pid))
        self.switch.ip("link", "set", port, "master", "br0", "up")
        host.ip("addr", "add", f"{address}/24", "brd", "+", "dev", interface)
        host.ip("link", "set", interface, "up")
        return address

    @contextlib.contextmanager
    def tap(self):
        """A port for a virtual machine that runs on the switch: the name of its tap."""
        with _numbering:
            name = f"tap{next(_numbers)}"
        self.switch.ip("tuntap", "add", name, "mode", "tap")
        try:
            self.switch.ip("link", "set", name, "master", "br0", "up")
            yield name
        finally:
            self.switch.ip("link", "delete", name)


def _ends_with_us(number):
    """What a command begins with so that this signal comes when the thread ends that started it."""
    return ["setpriv", "--pdeathsig", number]


def end(process):
    """Ask a process to end, and kill it where it does not."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
