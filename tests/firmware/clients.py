"""Hosts on the LAN of a site that ask as firmware does: one without an address yet, and one that has its own."""

from tests.firmware.hosts import Host
from tests.netboot_clients.client import BootClient

INTERFACE = "eth0"


class Clients:
    """Use as a context manager; `address` is that of the host that has one."""

    def __init__(self, lan):
        self._lan = lan
        self.bare, self.settled = Host("client without an address"), Host("client")

    def __enter__(self):
        for host in (self.bare, self.settled):
            host.__enter__()
        self._lan.plug(self.bare, 49, INTERFACE)
        self.bare.ip("addr", "flush", "dev", INTERFACE)
        self.address = self._lan.plug(self.settled, 50, INTERFACE)
        return self

    def __exit__(self, *_):
        for host in (self.settled, self.bare):
            host.__exit__()

    def machine(self, arch):
        """A machine whose firmware has this number of an architecture. Use as a context manager."""
        return BootClient(INTERFACE, self.bare.pid, arch=arch)

    def acknowledged(self, machine, server, **limit):
        """What a server says to a machine that has its address by now and asks at port 4011."""
        return machine.acknowledged(server, self.address, at=self.settled.pid, **limit)
