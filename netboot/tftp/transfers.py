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

from app.lifeline import die_with_parent
from netboot.line_budget import BudgetedLog
from netboot.tftp.outcome import DONE, Outcome, words_for
from netboot.tftp.ports import OwnPort, SharedPort
from netboot.tftp.process import TransferProcess
from netboot.tftp.sockets import Client, Peer
from netboot.tftp.transfer import OpenPort, Transfer
from netboot.tftp.turns import WAIT_LIMIT_S, Turns, Waiting
from netboot.tftp.verdict import Send

# A megabyte in blocks of 512 bytes over a line with 100 ms takes 205 s.
TRANSFER_LIMIT_S: Final = 300.0
# A busy server says so once a minute.
TELL_EVERY_S: Final = 60.0
# A client repeats its request until the first packet reaches it, and then acknowledges that. So a repetition that comes
# after the acknowledgement is of a machine that was reset. Those of before it may have waited here for less than this.
LATE_S: Final = 1.0


@dataclass(slots=True)
class Running:
    """One transfer.

    inbox: what its client sends goes there; None where the client sends to the child itself.
    answered_s: when its client had acknowledged the first packet.
    again: the same request that came while it ran, if any.
    """

    process: TransferProcess
    waited: Waiting
    began_s: float
    size_bytes: int
    inbox: socket.socket | None
    answered_s: float | None = None
    again: Waiting | None = None


class Transfers:
    """What goes out now, and what waits for its turn."""

    def __init__(
        self,
        listener: socket.socket,
        files: Mapping[str, bytes],
        selector: selectors.BaseSelector,
        log: BudgetedLog,
        *,
        single_port: bool,
    ) -> None:
        self._listener = listener
        self._files = files
        self._selector = selector
        self._log = log
        self._single_port = single_port
        self._turns = Turns()
        self._running: dict[Peer, Running] = {}
        self._die_with_us = die_with_parent(signal.SIGKILL)
        self._dropped = 0
        self._tell_dropped_at_s = 0.0
        self.counted: Counter[str] = Counter(broke=0)

    def ask(self, order: Send, client: Client) -> None:
        """A client asks for a file: it goes out when it is its turn."""
        asked = Waiting(order, client, monotonic())
        running = self._running.get(client.peer)
        if running is None:
            self._line_up(asked)
        elif running.waited.order != order:
            self._end(running, "the client asked for another file")
            self._line_up(asked)
        elif running.answered_s is not None and asked.asked_s - running.answered_s > LATE_S:
            self._end(running, "the client began anew")
            self._line_up(asked)
        else:
            # Most clients repeat their request while the answer is on its way. The child repeats the answer.
            running.again = asked

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
            self._drop(1)
            self._log.warning("tftp_cannot_begin", address=waiting.client.peer[0], reason=str(error))
        return True

    def tick(self, now_s: float) -> None:
        """End what takes too long, and drop who waits no more; `now_s` is the monotonic clock."""
        for running in list(self._running.values()):
            if now_s - running.began_s > TRANSFER_LIMIT_S:
                self._end(running, f"not done after {TRANSFER_LIMIT_S:.0f} s")
        self._drop(self._turns.forget_old(now_s))
        self._tell_dropped(now_s)

    def close(self) -> None:
        """End all."""
        for running in list(self._running.values()):
            self._end(running, "the server stops")

    def _begin(self, waiting: Waiting) -> None:
        inbox = None
        with contextlib.ExitStack() as unless_begun, contextlib.ExitStack() as once_begun:
            unless_begun.callback(self._turns.served, waiting.client)
            open_port: OpenPort = partial(OwnPort, waiting.client)
            if self._single_port:
                inbox, theirs = _inbox()
                unless_begun.enter_context(inbox)
                once_begun.enter_context(theirs)
                open_port = partial(SharedPort, waiting.client, self._listener, theirs)
            process = TransferProcess()
            unless_begun.callback(process.close)
            running = Running(process, waiting, monotonic(), len(self._files[waiting.order.name]), inbox)
            self._selector.register(process.news, selectors.EVENT_READ, partial(self._hear, running))
            unless_begun.callback(self._selector.unregister, process.news)
            process.start(partial(self._live, running, open_port))
            unless_begun.pop_all()
        self._running[waiting.client.peer] = running

    def _live(self, running: Running, open_port: OpenPort) -> int:
        """Be the child, which has a copy of all that is here."""
        self._settle_in_child()
        order, client = running.waited.order, running.waited.client
        return Transfer(order, self._files[order.name], client, open_port, running.process.tell_answered).send()

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

    def _hear(self, running: Running) -> None:
        if self._running.get(running.waited.client.peer) is not running:
            return  # ended by us while its news were on their way
        if running.process.hear():
            running.answered_s = monotonic()
        else:
            self._reap(running)

    def _reap(self, running: Running) -> None:
        status = self._take_out(running)
        if status == Outcome.SENT:
            self.counted["sent"] += 1
            self._log.info("tftp_sent", **_facts(running), bytes=running.size_bytes)
        elif status == Outcome.PROBED:
            self._log.debug("tftp_probed", **_facts(running))
        else:
            self._tell_unfinished(running, words_for(status))
        if status == Outcome.BROKE:
            self.counted["broke"] += 1
        again = running.again
        if again and status not in DONE and monotonic() - again.asked_s <= WAIT_LIMIT_S:
            self._line_up(again)  # it was no repetition, or one that nothing came of

    def _line_up(self, asked: Waiting) -> None:
        if not self._turns.line_up(asked):
            self._drop(1)

    def _drop(self, number: int) -> None:
        if number:
            self.counted["dropped"] += number
            self._dropped += number

    def _end(self, running: Running, reason: str) -> None:
        running.process.kill()
        self._take_out(running)
        self._tell_unfinished(running, reason)

    def _take_out(self, running: Running) -> int:
        """Collect a child that has ended, or is about to; its exit status."""
        del self._running[running.waited.client.peer]
        self._selector.unregister(running.process.news)
        status = running.process.collect()
        if running.inbox:
            running.inbox.close()
        self._turns.served(running.waited.client)
        return status

    def _tell_dropped(self, now_s: float) -> None:
        if self._dropped and now_s >= self._tell_dropped_at_s:
            self._log.warning("tftp_busy", dropped=self._dropped, running=len(self._running))
            self._dropped, self._tell_dropped_at_s = 0, now_s + TELL_EVERY_S

    def _tell_unfinished(self, running: Running, reason: str) -> None:
        self.counted["unfinished"] += 1
        self._log.info("tftp_unfinished", **_facts(running), reason=reason)


def _inbox() -> tuple[socket.socket, socket.socket]:
    """Where to put what a client sends, and where its child finds it."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    ours.setblocking(False)  # noqa: FBT003 - the socket's own way
    return ours, theirs


def _facts(running: Running) -> dict[str, str | float]:
    waited = running.waited
    seconds = round(monotonic() - running.began_s, 3)
    return {"name": waited.order.name, "address": waited.client.peer[0], "seconds": seconds}
