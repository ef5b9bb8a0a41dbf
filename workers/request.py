"""Acknowledges each task that has ended for certain, also when Redis is away at that moment.

Celery (5.6.3) tries once. A task whose acknowledgement fails keeps its place among those that the worker holds until
the connection is made anew; with all places kept the worker takes no task any more, and never notices.
"""

from __future__ import annotations

import threading
import time

import redis
import structlog
from celery import Task
from celery.worker import state
from celery.worker.request import Request

log = structlog.get_logger()

# Each attempt waits for the connection's own limit already.
AGAIN_S = 1.0

# Acknowledgements are short: one connection serves them all, and Redis is not met by a thousand at its return.
_one_at_a_time = threading.Lock()


class LastingRequest(Request):  # type: ignore[misc]  # Celery has no type hints
    """A task in a worker."""

    acknowledged: bool

    def acknowledge(self) -> None:
        """Acknowledge it, in the thread or greenlet that did it. Where that has lost its sense, it comes once more.

        So it is where the connection is another one by now, which hands out again what was not acknowledged, and
        where the worker is to stop.
        """
        if self.acknowledged:
            return
        self.acknowledged = True
        if self._tried():
            return
        log.warning("not_acknowledged", task_id=self.id, effect="tried again until Redis answers")
        while not _stopping():
            time.sleep(AGAIN_S)
            if self._tried():
                return

    def _tried(self) -> bool:
        """Whether nothing is left to do."""
        with _one_at_a_time:
            if self.message.channel is None or self.message.channel.closed:
                return True
            try:
                self.message.ack()
            except (*self.connection_errors, redis.RedisError):  # what Redis refuses now, as with a full disk, passes
                return False
            return True


def _stopping() -> bool:
    # An exit status of 0 asks to stop as well.
    return any(asked is not None and asked is not False for asked in (state.should_stop, state.should_terminate))


class LastingTask(Task):  # type: ignore[misc]
    """The base of all tasks."""

    Request = f"{__name__}:{LastingRequest.__name__}"
