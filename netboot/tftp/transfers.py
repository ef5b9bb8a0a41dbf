"""The transfers that run: begun when it is their turn, one for each client, ended when they take too long."""

from __future__ import annotations

import contextlib
import selectors
import signal
import socket
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from time import monotonic
from typing import Final

import structlog

from app.lifeline import die_with_parent
from netboot.line_budget import LineBudget
from netboot.tftp.outcome import Outcome, words_for
from netboot.tftp.ports import OwnPort, SharedPort
from netboot.tftp.sockets import Client, Peer
from netboot.tftp.transfer import OpenPort, Transfer
from netboot.tftp.turns import Turns, Waiting
from netboot.tftp.verdict import Send

log = structlog.get_logger()

# A megabyte in blocks of 512 bytes over a line with 100 ms takes 205 s.
TRANSFER_LIMIT_S: Final = 300.0
# A busy server says so once a minute.
TELL_EVERY_S: Final = 60.0


@dataclass(slots=True)
class Running:
    """One transfer.

    inbox: what its client sends goes there; None where the client sends to the child itself.
    again: the same request that came while it ran, if any.
    """

    process: Transfer
    waited: Waiting
    began_s: float
    size_bytes: int
    inbox: socket.socket | None
    again: Waiting | None = None


class Transfers:
    """What goes out now, and what waits for its turn."""

    def __init__(
        self,
        listener: socket.socket,
        files: Mapping[str, bytes],
        selector: selectors.BaseSelector,
        lines: LineBudget,
        *,
        single_port: bool,
    ) -> None:
        self._listener = listener
        self._files = files
        self._selector = selector
        self._lines = lines
        self._single_port = single_port
        self._turns = Turns()
        self._running: dict[Peer, Running] = {}
        self._die_with_us = die_with_parent(signal.SIGKILL)
        self._dropped = 0
        self._tell_dropped_at_s = 0.0
        self.counted: Counter[str] = Counter()

    def ask(self, order: Send, client: Client) -> None:
        """A client asks for a file: it goes out when it is its turn."""
        asked = Waiting(order, client, monotonic())
        running = self._running.get(client.peer)
        if running and running.waited.order == order:
            # Most clients repeat their request while the answer is on its way. The child repeats the answer.
            running.again = asked
            return
        if running:
            self._end(running, "the client asked for another file")
        self._line_up(asked)

    def hand_on(self, packet: bytes, client: Client) -> bool:
        """Give a packet to the transfer of its client, where the one port is for all; whether there is one."""
        running = self._running.get(client.peer)
        if not running or not running.inbox:
            return False
        with contextlib.suppress(OSError):  # full or just ended: as if the network had lost it
            running.inbox.send(packet)
        return True

    def begin_next(self) -> bool:
        """Begin the one whose turn it is; False: there is none.

        Not several: a fork takes milliseconds, in which the listener has to be looked after.
        """
        waiting = self._turns.take()
        if waiting is None:
            return False
        try:
            self._begin(waiting)
        except OSError as error:
            self._dropped += 1
            if self._lines.take():
                log.warning("tftp_cannot_begin", address=waiting.client.peer[0], reason=str(error))
        return True

    def tick(self, now_s: float) -> None:
        """End what takes too long, and drop who waits no more; `now_s` is the monotonic clock."""
        for running in list(self._running.values()):
            if now_s - running.began_s > TRANSFER_LIMIT_S:
                self._end(running, f"not done after {TRANSFER_LIMIT_S:.0f} s")
        self._dropped += self._turns.forget_old(now_s)
        self._tell_dropped(now_s)

    def close(self) -> None:
        """End all."""
        for running in list(self._running.values()):
            self._end(running, "the server stops")

    def _begin(self, waiting: Waiting) -> None:
        content = self._files[waiting.order.name]
        inbox = None
        with contextlib.ExitStack() as unless_begun, contextlib.ExitStack() as once_begun:
            unless_begun.callback(self._turns.served, waiting.client)
            open_port: OpenPort = partial(OwnPort, waiting.client)
            if self._single_port:
                inbox, theirs = _inbox()
                unless_begun.enter_context(inbox)
                once_begun.enter_context(theirs)
                open_port = partial(SharedPort, waiting.client, self._listener, theirs)
            process = Transfer(waiting.order, content, waiting.client, open_port, self._settle_in_child)
            process.start()
            unless_begun.pop_all()
        running = Running(process, waiting, monotonic(), len(content), inbox)
        self._running[waiting.client.peer] = running
        self._selector.register(process.sentinel, selectors.EVENT_READ, lambda: self._reap(running))

    def _settle_in_child(self) -> None:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which ends us
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        self._die_with_us()
        self._selector.close()
        if not self._single_port:
            self._listener.close()
        for running in self._running.values():
            if running.inbox:
                running.inbox.close()

    def _reap(self, running: Running) -> None:
        if self._running.get(running.waited.client.peer) is not running:
            return  # ended by us while its own end was being reported
        status = self._take_out(running)
        if status == Outcome.SENT:
            self.counted["sent"] += 1
            log.info("tftp_sent", **_facts(running), bytes=running.size_bytes)
        elif status == Outcome.PROBED:
            log.debug("tftp_probed", **_facts(running))
        else:
            self._tell_unfinished(running, words_for(status))
        if running.again and status in (Outcome.PROBED, Outcome.ENDED_BY_CLIENT):
            self._line_up(running.again)  # it was no repetition: it had asked for the size, and now wants the file

    def _line_up(self, asked: Waiting) -> None:
        if not self._turns.line_up(asked):
            self._dropped += 1

    def _end(self, running: Running, reason: str) -> None:
        running.process.kill()
        self._take_out(running)
        self._tell_unfinished(running, reason)

    def _take_out(self, running: Running) -> int:
        """Collect a child that has ended, or is about to; its exit status."""
        del self._running[running.waited.client.peer]
        self._selector.unregister(running.process.sentinel)
        running.process.join()
        status = int(running.process.exitcode)
        running.process.close()
        if running.inbox:
            running.inbox.close()
        self._turns.served(running.waited.client)
        return status

    def _tell_dropped(self, now_s: float) -> None:
        if self._dropped and now_s >= self._tell_dropped_at_s:
            log.warning("tftp_busy", dropped=self._dropped, running=len(self._running))
            self.counted["dropped"] += self._dropped
            self._dropped, self._tell_dropped_at_s = 0, now_s + TELL_EVERY_S

    def _tell_unfinished(self, running: Running, reason: str) -> None:
        self.counted["unfinished"] += 1
        if self._lines.take():
            log.info("tftp_unfinished", **_facts(running), reason=reason)


def _inbox() -> tuple[socket.socket, socket.socket]:
    """Where to put what a client sends, and where its child finds it."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    ours.setblocking(False)  # noqa: FBT003 - the socket's own way
    return ours, theirs


def _facts(running: Running) -> dict[str, str | float]:
    waited = running.waited
    seconds = round(monotonic() - running.began_s, 3)
    return {"name": waited.order.name, "address": waited.client.peer[0], "seconds": seconds}
