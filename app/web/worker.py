"""Gunicorn's threaded worker, with limits for clients that do not finish what they ask, or do not take the answer.

A thread reads a request as slowly as the client sends it, and sends as slowly as the client takes. Firmware whose link
died in the middle would hold its thread for good, and some dozens of those would stop all boots.
"""

from __future__ import annotations

import contextlib
import select
import socket
import threading
import time
from typing import Any, Final

import structlog
from gunicorn.workers.gthread import ThreadWorker

# A request is one packet; ten seconds are enough for TCP to send a lost one again a few times.
REQUEST_LIMIT_S: Final = 10.0
# A small answer, or 256 KiB of an image (app/web/downloads.py), is not taken within this: TCP has sent a lost packet
# again six times.
STALL_LIMIT_S: Final = 30.0
# The next request on a kept connection mostly comes within a few milliseconds. To wait for it here is a fifth cheaper
# than a turn of the main loop, which hands it to another thread. Not while others would wait for a thread meanwhile.
ASKS_ON_MS: Final = 20
# Then others get the thread: a client that never stops asking would have it for good.
MOST_IN_A_ROW: Final = 16

# What a client asks for is logged up to this length.
_LONGEST_SHOWN: Final = 80

log = structlog.get_logger()


class BootWorker(ThreadWorker):  # type: ignore[misc]  # gunicorn has no types
    """Gives up on clients that do not finish what they ask, or stop taking the answer."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._guard = threading.Lock()
        self._reading: dict[Any, float] = {}
        self._in_hand = 0

    def enqueue_req(self, conn: Any) -> None:
        """Called in the main loop for a connection on which a request has come: a thread is to take it."""
        with self._guard:
            self._in_hand += 1
        super().enqueue_req(conn)

    def handle(self, conn: Any) -> Any:
        """Called in a thread for a request: read it, answer it, and those that follow at once."""
        try:
            kept = self._handle_one(conn)
            for _ in range(MOST_IN_A_ROW - 1):
                if kept is not True or not self.alive or not _asks_on(conn, self._patience_ms()):
                    break
                kept = self._handle_one(conn)
        finally:
            with self._guard:
                self._in_hand -= 1
        return kept

    def _patience_ms(self) -> int:
        """How long this thread may wait for one client: not at all unless another one is free for the others."""
        return ASKS_ON_MS if self._in_hand < self.cfg.threads else 0

    def _handle_one(self, conn: Any) -> Any:
        """The answer is whether the connection is kept, or that gunicorn is to wait for its first bytes."""
        with self._guard:
            self._reading[conn] = time.monotonic() + REQUEST_LIMIT_S
        try:
            kept = super().handle(conn)
        finally:
            self._has_read(conn)
        if not kept:
            # Else the main loop, which hands out all work, waits up to 2 s for each client to close: by that gunicorn
            # keeps TCP from losing the answer, of which a unix socket loses nothing.
            with contextlib.suppress(OSError):
                conn.sock.shutdown(socket.SHUT_RD)
        return kept

    def handle_request(self, req: Any, conn: Any) -> Any:
        """Called in the same thread once the head of the request is there; ours have no body to speak of."""
        self._has_read(conn)
        conn.sock.settimeout(STALL_LIMIT_S)  # gunicorn sets its own way again before the next request
        try:
            return super().handle_request(req, conn)
        except TimeoutError as error:
            log.warning("answer_not_taken", path=_shown(req.path), reason=str(error), limit_s=STALL_LIMIT_S)
            return False

    def murder_pending(self) -> None:
        """Called once a second in the main loop, to close connections that were silent for too long."""
        super().murder_pending()
        now = time.monotonic()
        with self._guard:
            late = [conn for conn, until_s in self._reading.items() if until_s < now]
        for conn in late:
            # The thread that reads sees the end of the connection, and closes it.
            with contextlib.suppress(OSError):
                conn.sock.shutdown(socket.SHUT_RD)

    def _has_read(self, conn: Any) -> None:
        with self._guard:
            self._reading.pop(conn, None)


def _asks_on(conn: Any, patience_ms: int) -> bool:
    """Whether the next request comes within this, or the end of the connection, which is as well seen here."""
    if conn.parser.unreader.buf.getvalue():  # it has come with the one before
        return True
    coming = select.poll()
    coming.register(conn.sock.fileno(), select.POLLIN)
    return bool(coming.poll(patience_ms))


def _shown(path: str) -> str:
    """What a client asked for, as far as it is logged."""
    return "".join(c for c in path[:_LONGEST_SHOWN] if c.isprintable())
