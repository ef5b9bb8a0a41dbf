"""What the two children of the netboot process do. Each loads its own library, which the others need no memory for."""

from __future__ import annotations

import importlib
import os
import signal
from collections.abc import Mapping
from typing import Final, Protocol

from config import logs
from config.settings import Settings
from netboot.forked import HANDLED
from netboot.place import Place
from netboot.ports import Ports
from netboot.rights import User, drop_rights

# What the children load, by themselves or when the first packet comes.
MODULES: Final = (
    "netboot.dhcp.proxy",
    "netboot.tftp.server",
    "multiprocessing.popen_fork",
    "encodings.idna",
)


class Server(Protocol):
    """What serves until it is told to stop."""

    def serve(self) -> None:
        """Serve until `stop` is called."""

    def stop(self) -> None:
        """End `serve` soon; may be called from a signal handler."""


def serve_dhcp(settings: Settings, ports: Ports, place: Place, *, dry_run: bool) -> None:
    """Answer DHCP until SIGTERM."""
    logs.configure(settings.debug, "netboot-dhcp")
    from netboot.dhcp.proxy import DhcpProxy  # noqa: PLC0415 - scapy

    _serve(DhcpProxy(ports.dhcp, place.site, dry_run=dry_run))


def serve_tftp(settings: Settings, ports: Ports, files: Mapping[str, bytes], *, dry_run: bool) -> None:
    """Send files until SIGTERM."""
    logs.configure(settings.debug, "netboot-tftp")
    from netboot.tftp.server import TftpServer  # noqa: PLC0415 - fbtftp

    _serve(TftpServer(ports.tftp, files, single_port=settings.tftp_single_port, dry_run=dry_run))


def load_while_we_may(user: User) -> None:
    """Load the children's modules here, where they could not do it themselves as this user.

    The program often lies where root alone may read, such as /root. To be called before rights are dropped.
    """
    pid = os.fork()
    if not pid:
        status = 1
        try:
            drop_rights(user)
            _load()
            status = 0
        finally:
            os._exit(status)
    if os.waitpid(pid, 0)[1]:
        _load()


def _load() -> None:
    for module in MODULES:
        importlib.import_module(module)


def _serve(server: Server) -> None:
    for number in HANDLED:
        signal.signal(number, lambda *_: server.stop())
    server.serve()
