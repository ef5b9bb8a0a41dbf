"""Sends the workers' task events in batches, and loses none.

Three events a task, each published by itself, cost a worker more than a short task does. Celery's own batches (up to
5.6.3, celery#10434) lose the events that other threads add while one is sent: failures would not reach Flower.
"""

from __future__ import annotations

import sys
import threading
from typing import Any

from celery import bootsteps

# Nobody sees a tenth of a second on a page; at 100 tasks a second it makes one message of thirty.
FLUSH_EVERY_S = 0.1
# What one message may hold: about a megabyte.
BATCH = 1000
GROUP = "task"


def flush(dispatcher: Any) -> None:
    """Send what has gathered. What cannot be sent goes to the dispatcher's own buffer, for the next connection."""
    gathered = dispatcher._group_buffer[GROUP]  # noqa: SLF001  # it has no other way in
    with dispatcher.mutex:
        while batch := gathered[:BATCH]:
            dispatcher._publish(batch, dispatcher.producer, f"{GROUP}.multi")  # noqa: SLF001
            del gathered[: len(batch)]  # and not what was added meanwhile


class BatchedEvents(bootsteps.StartStopStep):  # type: ignore[misc]  # Celery has no type hints
    """Takes over the batches of the consumer's event dispatcher, of which each new connection makes a new one."""

    requires = ("celery.worker.consumer.events:Events",)

    def __init__(self, parent: object, **options: Any) -> None:
        self._dispatcher: Any = None
        self._stopped = threading.Event()
        super().__init__(parent, **options)

    def start(self, parent: Any) -> None:
        """Gather the events of this connection, and go on with those of the one before: its tasks still send there."""
        dispatcher, before = parent.event_dispatcher, self._dispatcher
        dispatcher.buffer_group = frozenset({GROUP})
        dispatcher.buffer_limit = sys.maxsize
        dispatcher.on_send_buffered = None
        if before is not None and before is not dispatcher:
            dispatcher._group_buffer = before._group_buffer  # noqa: SLF001
        self._dispatcher, self._stopped = dispatcher, threading.Event()
        threading.Thread(target=self._run, args=(dispatcher, self._stopped), name="task-events", daemon=True).start()

    def stop(self, parent: object) -> None:  # noqa: ARG002  # the interface of a step
        """Send the last ones."""
        self._stopped.set()
        if self._dispatcher is not None and self._dispatcher.producer is not None:
            flush(self._dispatcher)

    @staticmethod
    def _run(dispatcher: Any, stopped: threading.Event) -> None:
        while not stopped.wait(FLUSH_EVERY_S):
            if dispatcher.producer is not None:
                flush(dispatcher)
