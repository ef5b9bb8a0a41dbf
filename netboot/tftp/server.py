"""The listener at the TFTP port: judges each datagram, and goes on whatever it was.

    server = TftpServer(open_socket("", 69), boot_files(settings), single_port=False, dry_run=False)
    signal.signal(signal.SIGTERM, lambda *_: server.stop())
    server.serve()

It forks for each transfer: its process has no threads, and may have given up all rights, once the socket is open.
"""

from __future__ import annotations

import logging
import selectors
import socket
from collections.abc import Mapping
from time import monotonic
from typing import Final

import structlog

from netboot.line_budget import LINES_PER_SECOND, BudgetedLog
from netboot.shown import shown
from netboot.tftp.request import judge
from netboot.tftp.sockets import Client, receive, send
from netboot.tftp.transfers import Transfers
from netboot.tftp.verdict import Ignore, Opcode, Refuse, Send, Verdict

log = structlog.get_logger()

# How long a stop may take, and how late a transfer's limit may be kept.
TICK_S: Final = 0.5
# Datagrams taken in one go before children that have ended get their turn.
DATAGRAMS_AT_ONCE: Final = 64

REQUESTS: Final = tuple(opcode.to_bytes(2) for opcode in (Opcode.READ, Opcode.WRITE))


class TftpServer:
    """Sends files to whoever asks for them."""

    def __init__(
        self, listener: socket.socket, files: Mapping[str, bytes], *, single_port: bool, dry_run: bool
    ) -> None:
        """Prepare it.

        Args:
            listener: of `open_socket`; it stays open, and its owner's.
            files: what there is, by name.
            single_port: send from the listener's port, for networks that let only this one through.
            dry_run: log what would be done, and answer nothing.
        """
        self._listener = listener
        self._files = files
        self._single_port = single_port
        self._dry_run = dry_run
        self._stopping = False
        self._tick_at_s = 0.0
        self._log = BudgetedLog(log, monotonic)

    def serve(self) -> None:
        """Serve until `stop`."""
        logging.getLogger().addFilter(_is_not_of_fbtftp)
        with selectors.DefaultSelector() as selector:
            transfers = self._transfers = Transfers(
                self._listener, self._files, selector, self._log, single_port=self._single_port
            )
            selector.register(self._listener, selectors.EVENT_READ, self._receive)
            log.info("tftp_serving", files=len(self._files), single_port=self._single_port, dry_run=self._dry_run)
            while not self._stopping:
                for key, _ in selector.select(0 if transfers.begin_next() else TICK_S):
                    key.data()
                self._tick(transfers)
            transfers.close()
        self._tell_left_out(at_end=True)
        log.info("tftp_stopped", **transfers.counted)

    def stop(self) -> None:
        """End `serve` within TICK_S; may be called by a signal handler."""
        self._stopping = True

    def _tick(self, transfers: Transfers) -> None:
        now_s = monotonic()
        if now_s < self._tick_at_s:
            return
        self._tick_at_s = now_s + TICK_S
        transfers.tick(now_s)
        self._tell_left_out(at_end=False)

    def _tell_left_out(self, *, at_end: bool) -> None:
        if lines := self._log.left_out(at_end=at_end):
            log.warning("tftp_lines_left_out", lines=lines, most_per_second=LINES_PER_SECOND)

    def _receive(self) -> None:
        for _ in range(DATAGRAMS_AT_ONCE):
            try:
                came = receive(self._listener)
            except OSError as error:
                self._log.warning("tftp_cannot_receive", reason=str(error))
                return
            if came is None:
                return
            datagram, client = came
            try:
                self._take(datagram, client)
            except Exception as error:  # noqa: BLE001 - the outer edge: the next datagram is another client's
                self._transfers.counted["broke"] += 1
                self._log.error("tftp_datagram_broke", address=client.peer[0], exc_info=error)

    def _take(self, datagram: bytes, client: Client) -> None:
        if self._single_port and datagram[:2] not in REQUESTS and self._transfers.hand_on(datagram, client):
            return
        verdict = judge(datagram, self._files)
        if self._dry_run:
            self._log.info("tftp_dry_run", address=client.peer[0], **_words(verdict, self._files))
            return
        match verdict:
            case Send():
                self._transfers.ask(verdict, client)
            case Refuse():
                self._refuse(verdict, client)
            case Ignore():
                self._transfers.counted["ignored"] += 1
                self._log.debug("tftp_ignored", address=client.peer[0], reason=verdict.reason)

    def _refuse(self, verdict: Refuse, client: Client) -> None:
        self._transfers.counted["refused"] += 1
        self._log.info("tftp_refused", address=client.peer[0], name=shown(verdict.asked), reason=verdict.reason)
        try:
            send(self._listener, verdict.packet, client)
        except OSError as error:  # such as to port 0, which anybody may write into a packet
            self._log.debug("tftp_cannot_send", address=client.peer[0], reason=str(error))


def _words(verdict: Verdict, files: Mapping[str, bytes]) -> dict[str, str]:
    match verdict:
        case Send():
            return {"name": verdict.name, "verdict": f"would send {len(files[verdict.name])} bytes"}
        case Refuse():
            return {"name": shown(verdict.asked), "verdict": f"would refuse: {verdict.reason}"}
        case Ignore():
            return {"verdict": f"would ignore: {verdict.reason}"}


def _is_not_of_fbtftp(record: logging.LogRecord) -> bool:
    """Whether to log what fbtftp says of each step; it has no logger of its own, and our events say what came of it."""
    return "fbtftp" not in record.pathname
