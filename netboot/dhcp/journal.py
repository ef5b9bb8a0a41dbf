"""What the DHCP proxy tells: a line for each packet, as many as a log can bear, and counters at the end."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from typing import Final

import structlog

from netboot.dhcp.verdict import Ignored, Message, Reply

log = structlog.get_logger()

# Twice what a thousand machines that boot within ten seconds cause; a flood fills no disk (some 100 KB a second).
LINES_PER_SECOND: Final = 500


class LineBudget:
    """How many lines may still be written in this second. clock: gives seconds that only rise."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._second = int(clock())
        self._written = 0
        self._left_out = 0

    def take(self) -> bool:
        """Whether a line may be written now."""
        self._turn()
        if self._written >= LINES_PER_SECOND:
            self._left_out += 1
            return False
        self._written += 1
        return True

    def left_out(self) -> int:
        """How many lines were not written in seconds that are over, since it was asked last."""
        self._turn()
        if not self._left_out or self._written >= LINES_PER_SECOND:
            return 0
        left_out, self._left_out = self._left_out, 0
        return left_out

    def _turn(self) -> None:
        second = int(self._clock())
        if second != self._second:
            self._second, self._written = second, 0


class Journal:
    """Logs and counts what comes of packets.

    dry_run: nothing is sent, and each packet is told with its verdict.
    clock: gives seconds that only rise.
    """

    def __init__(self, *, dry_run: bool, clock: Callable[[], float] = time.monotonic) -> None:
        self._dry_run = dry_run
        # Apart, so that a flood of nonsense does not hide who was answered.
        self._answers = LineBudget(clock)
        self._others = LineBudget(clock)
        self._received = 0
        self._answered: Counter[str] = Counter()
        self._ignored: Counter[str] = Counter()
        self._failed = 0

    def received(self) -> None:
        """Note that a packet came."""
        self._received += 1

    def answered(self, reply: Reply) -> None:
        """Note an answer that was sent, or would have been."""
        self._answered[reply.message.name.lower()] += 1
        if not self._answers.take():
            return
        fields = {
            "mac": reply.mac,
            "client": reply.client.value,
            "arch": reply.architecture,
            "boot_file": reply.boot_file,
            "address": reply.destination[0],
            "port": reply.destination[1],
        }
        if self._dry_run:
            log.info("dhcp_dry_run", verdict=f"would send {reply.message.name}", **fields)
        elif reply.message is Message.OFFER:
            log.info("dhcp_offered", **fields)
        else:
            log.info("dhcp_acknowledged", **fields)

    def ignored(self, ignored: Ignored, address: str, port: int) -> None:
        """Note a packet that is not answered. address: the sender's. port: ours."""
        self._ignored[ignored.reason.value] += 1
        if not self._others.take():
            return
        fields = {"mac": ignored.mac, "detail": ignored.detail, "address": address, "port": port}
        if self._dry_run:
            log.info("dhcp_dry_run", verdict=f"ignored: {ignored.reason.value}", **fields)
        else:
            log.debug("dhcp_ignored", reason=ignored.reason.value, **fields)

    def send_failed(self, reply: Reply, error: OSError) -> None:
        """Note an answer that could not be sent."""
        self._failed += 1
        if self._others.take():
            log.warning("dhcp_send_failed", mac=reply.mac, address=reply.destination[0], reason=error.strerror)

    def broke(self, error: Exception, address: str, port: int) -> None:
        """Note a fault of the program. address: the sender's. port: ours."""
        self._failed += 1
        if self._others.take():
            log.error("dhcp_broke", address=address, port=port, exc_info=error)

    def catch_up(self) -> None:
        """Tell of lines that were left out; to be called from time to time."""
        left_out = self._answers.left_out() + self._others.left_out()
        if left_out:
            log.warning("dhcp_lines_left_out", lines=left_out, most_per_second=LINES_PER_SECOND)

    def close(self) -> None:
        """Tell the counters."""
        log.info(
            "dhcp_proxy_stopped",
            received=self._received,
            answered=dict(self._answered),
            ignored=dict(self._ignored),
            failed=self._failed,
        )
