"""What the DHCP proxy tells: a line for each packet, as many as a log can bear, and counters at the end."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable

import structlog

from netboot.dhcp.verdict import Ignored, Message, Reply
from netboot.line_budget import LINES_PER_SECOND, BudgetedLog

log = structlog.get_logger()


class Journal:
    """Logs and counts what comes of packets.

    dry_run: nothing is sent, and each packet is told with its verdict.
    clock: gives seconds that only rise.
    """

    def __init__(self, *, dry_run: bool, clock: Callable[[], float] = time.monotonic) -> None:
        self._dry_run = dry_run
        self._log = BudgetedLog(log, clock)
        # Apart, so that a flood of nonsense does not hide who would have been answered, which is the same event.
        self._nonsense_log = BudgetedLog(log, clock)
        self._received = 0
        self._answered: Counter[str] = Counter()
        self._ignored: Counter[str] = Counter()
        self._failed = 0
        self._broke = 0

    def received(self) -> None:
        """Note that a packet came."""
        self._received += 1

    def answered(self, reply: Reply) -> None:
        """Note an answer that was sent, or would have been."""
        self._answered[reply.message.name.lower()] += 1
        fields = {
            "mac": reply.mac,
            "client": reply.client.value,
            "arch": reply.architecture,
            "boot_file": reply.boot_file,
            "address": reply.destination[0],
            "port": reply.destination[1],
        }
        if self._dry_run:
            self._log.info("dhcp_dry_run", verdict=f"would send {reply.message.name}", **fields)
        elif reply.message is Message.OFFER:
            self._log.info("dhcp_offered", **fields)
        else:
            self._log.info("dhcp_acknowledged", **fields)

    def ignored(self, ignored: Ignored, address: str, port: int) -> None:
        """Note a packet that is not answered. address: the sender's. port: ours."""
        self._ignored[ignored.reason.value] += 1
        fields = {"mac": ignored.mac, "detail": ignored.detail, "address": address, "port": port}
        if self._dry_run:
            self._nonsense_log.info("dhcp_dry_run", verdict=f"ignored: {ignored.reason.value}", **fields)
        else:
            self._nonsense_log.debug("dhcp_ignored", reason=ignored.reason.value, **fields)

    def send_failed(self, reply: Reply, error: OSError) -> None:
        """Note an answer that could not be sent."""
        self._failed += 1
        self._log.warning("dhcp_send_failed", mac=reply.mac, address=reply.destination[0], reason=error.strerror)

    def broke(self, error: Exception, address: str, port: int) -> None:
        """Note a fault of the program. address: the sender's. port: ours."""
        self._broke += 1
        self._log.error("dhcp_broke", address=address, port=port, exc_info=error)

    def catch_up(self) -> None:
        """Tell of lines that were left out; to be called from time to time."""
        self._tell_left_out(at_end=False)

    def close(self) -> None:
        """Tell the counters."""
        self._tell_left_out(at_end=True)
        log.info(
            "dhcp_proxy_stopped",
            received=self._received,
            answered=dict(self._answered),
            ignored=dict(self._ignored),
            failed=self._failed,
            broke=self._broke,
        )

    def _tell_left_out(self, *, at_end: bool) -> None:
        if lines := sum(kept.left_out(at_end=at_end) for kept in (self._log, self._nonsense_log)):
            log.warning("dhcp_lines_left_out", lines=lines, most_per_second=LINES_PER_SECOND)
