"""The loop of the DHCP proxy: receives, decides, sends.

    proxy = DhcpProxy({67: socket, 4011: socket}, site_of(settings), dry_run=False)
    signal.signal(signal.SIGTERM, lambda *_: proxy.stop())
    proxy.serve()

Guarantees: no packet ends it, and none keeps the others waiting. It has no thread, and needs no rights.
"""

from __future__ import annotations

import os
import selectors
import socket
import time
from collections import deque
from collections.abc import Mapping
from typing import Final

import structlog

from netboot.datagrams import Datagram, answer_to, receive
from netboot.dhcp.answer import answer
from netboot.dhcp.journal import Journal
from netboot.dhcp.loop_guard import LoopGuard
from netboot.dhcp.ports import Arrival
from netboot.dhcp.site import Site
from netboot.dhcp.sockets import is_interface_gone
from netboot.dhcp.verdict import Ignored

log = structlog.get_logger()

# What waits here needs no room in the kernel, whose buffer is small where we may not choose it. As many as boot at once
# in a large hall, in at most 2 MB, answered within a second; further ones stay in the kernel.
_MOST_WAITING: Final = 1000
# Answers between two looks at what has come, which take it some 2 ms.
_ANSWERS_PER_TURN: Final = 4
# How soon it is seen that lines were left out, and that the interface is gone.
_TURN_S: Final = 1.0
# An interface that is down or gone fails at once, each time.
_AFTER_ERROR_S: Final = 0.5


class DhcpProxy:
    """Serves boot clients on sockets that are open. To be made in the process that serves.

    Args:
        sockets: those of netboot/dhcp/sockets.py, by port; they stay the caller's.
        site: where firmware finds us.
        dry_run: tell what would be answered, and send nothing.
    """

    def __init__(self, sockets: Mapping[int, socket.socket], site: Site, *, dry_run: bool) -> None:
        self._sockets = dict(sockets)
        self._site = site
        self._dry_run = dry_run
        self._guard = LoopGuard()
        self._journal = Journal(dry_run=dry_run)
        self._waiting: dict[int, deque[Datagram]] = {port: deque() for port in sockets}
        self._stopping = False
        self._waking, self._wake = os.pipe()
        os.set_blocking(self._wake, False)

    def stop(self) -> None:
        """Let `serve` return soon. May be called from a signal handler, and more than once."""
        if not self._stopping:
            self._stopping = True
            os.write(self._wake, b"\0")

    def serve(self) -> None:
        """Answer until `stop` is called, or the interface was taken away; once."""
        log.info(
            "dhcp_proxy_serves",
            ports=sorted(self._sockets),
            address=self._site.address,
            script=self._site.script_url,
            dry_run=self._dry_run,
        )
        try:
            with selectors.DefaultSelector() as selector:
                selector.register(self._waking, selectors.EVENT_READ, 0)
                for port, opened in self._sockets.items():
                    selector.register(opened, selectors.EVENT_READ, port)
                self._loop(selector)
        finally:
            self._stopping = True
            os.close(self._waking)
            os.close(self._wake)
            self._journal.close()

    def _loop(self, selector: selectors.BaseSelector) -> None:
        look_at_s = 0.0
        while not self._stopping:
            for key, _ in selector.select(0 if any(self._waiting.values()) else _TURN_S):
                if key.data:
                    self._fetch(key.data)
            for port, waiting in self._waiting.items():
                for _ in range(min(len(waiting), _ANSWERS_PER_TURN)):
                    self._guarded(waiting.popleft(), port)
            if time.monotonic() < look_at_s:
                continue
            look_at_s = time.monotonic() + _TURN_S
            self._journal.catch_up()
            if any(map(is_interface_gone, self._sockets.values())):
                log.error("dhcp_interface_gone", remedy="start netboot again, if nothing does, once it is back")
                return

    def _fetch(self, port: int) -> None:
        """Take what has come to a port, up to a bound."""
        waiting = self._waiting[port]
        while len(waiting) < _MOST_WAITING:
            try:
                datagram = receive(self._sockets[port])
            except OSError as error:
                log.warning("dhcp_receive_failed", port=port, reason=error.strerror)
                time.sleep(_AFTER_ERROR_S)
                return
            if datagram is None:
                return
            waiting.append(datagram)

    def _guarded(self, datagram: Datagram, port: int) -> None:
        try:
            self._take(datagram, port)
        except Exception as error:  # noqa: BLE001 - the outer edge: no packet ends the proxy
            self._journal.broke(error, datagram.source[0], port)

    def _take(self, datagram: Datagram, port: int) -> None:
        self._journal.received()
        verdict = answer(datagram.packet, Arrival(port, datagram.source), self._site, self._guard)
        if isinstance(verdict, Ignored):
            self._journal.ignored(verdict, datagram.source[0], port)
            return
        if not self._dry_run:
            try:
                answer_to(self._sockets[port], datagram, verdict.packet, verdict.destination)
            except OSError as error:
                self._journal.send_failed(verdict, error)
                return
        self._journal.answered(verdict)
