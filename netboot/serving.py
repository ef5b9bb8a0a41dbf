"""What the two children of the netboot process do, and what they have to have loaded for it."""

from __future__ import annotations

import importlib
import signal
from collections.abc import Mapping
from typing import Final, Protocol

from config import logs
from config.settings import Settings
from netboot.forked import HANDLED
from netboot.place import Place
from netboot.ports import Ports

# What the children would load otherwise, at their start or when the first packet comes.
MODULES: Final = (
    "netboot.dhcp.proxy",
    "netboot.tftp.server",
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
    from netboot.dhcp.proxy import DhcpProxy  # noqa: PLC0415 - `run` tries our ports without it

    _serve(DhcpProxy(ports.dhcp, place.site, dry_run=dry_run))


def serve_tftp(settings: Settings, ports: Ports, files: Mapping[str, bytes], *, dry_run: bool) -> None:
    """Send files until SIGTERM."""
    logs.configure(settings.debug, "netboot-tftp")
    from netboot.tftp.server import TftpServer  # noqa: PLC0415 - likewise

    _serve(TftpServer(ports.tftp, files, single_port=settings.tftp_single_port, dry_run=dry_run))


def load() -> None:
    """Load what the children need, before they are forked and while we may.

    The program often lies where root alone may read, such as /root. And it takes less memory than where each loads its
    own: 63 MB in all instead of 88.
    """
    for module in MODULES:
        importlib.import_module(module)


def _serve(server: Server) -> None:
    for number in HANDLED:
        signal.signal(number, lambda *_: server.stop())
    server.serve()
