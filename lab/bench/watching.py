"""How soon a change in Omni reaches a decision, and how much memory watching takes, as measured on a real watcher.

- Machines are put into a cluster, one after the other. A change counts as decided on when the report that follows from
  the decision has reached Omni, so the way there is in the time.
- Memory is the watcher's PSS: the most that was seen while the mirror was filled, all machines were reported on for the
  first time, and all watches began anew at once.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Final

import grpc

from app.omni.kinds import Kind
from lab.bench.processes import pss_mb
from lab.bench.watched import Watched
from lab.omni import StandInOmni
from lab.omni.admin import CLUSTER_LABELS
from lab.omni.store import Place
from protos.gen.cosi import state_pb2

VERSION: Final = "1.13.7"
CHANGED_LIMIT_S: Final = 30.0
# As often as machines change on a busy day of a large site; more would measure how a queue fills.
PAUSE_S: Final = (0.02, 0.12)
SAMPLE_S: Final = 0.05


class Reactions:
    """Notes when a report with the label of a cluster comes for a machine."""

    def __init__(self, omni: StandInOmni) -> None:
        self._arrived: dict[str, float] = {}
        self._news = threading.Condition()
        kind = Kind.INFRA_MACHINE_STATUS
        omni.observe(Place(kind.namespace(omni.provider_id), kind.type(omni.provider_id)), self._note)

    def after_s(self, machine_id: str, began_s: float) -> float:
        """Wait for the report; the answer is how long after `began_s` it came. Raises TimeoutError."""
        with self._news:
            if not self._news.wait_for(lambda: machine_id in self._arrived, CHANGED_LIMIT_S):
                raise TimeoutError(f"no report on {machine_id} within {CHANGED_LIMIT_S:g} s")
            return self._arrived.pop(machine_id) - began_s

    def _note(self, event: state_pb2.Event) -> None:
        metadata = event.resource.metadata
        if CLUSTER_LABELS[0] in metadata.labels:
            with self._news:
                self._arrived.setdefault(metadata.id, time.monotonic())
                self._news.notify_all()


def reaction_times_ms(watched: Watched) -> list[float]:
    """For each machine, from its change in Omni to the report on it. Raises TimeoutError."""
    reactions = watched.omni.do(Reactions)
    times_ms = []
    for machine_id in watched.machine_ids:
        time.sleep(random.uniform(*PAUSE_S))
        began_s = watched.omni.do(partial(_allocate, machine_id))
        times_ms.append(reactions.after_s(machine_id, began_s) * 1000)
    return times_ms


def memory_mb(watched: Watched) -> tuple[float, float]:
    """The watcher's PSS in the end, and the most that was seen. Raises TimeoutError."""
    with _samples(watched.pid) as samples:
        watched.settle()
        watched.omni.do(lambda o: o.end_watches(grpc.StatusCode.UNAVAILABLE, "bench"))
        watched.settle()
    settled_mb = pss_mb([watched.pid])
    return settled_mb, max(settled_mb, *samples)


def _allocate(machine_id: str, omni: StandInOmni) -> float:
    """Put a machine into a cluster; the answer is when that was about to begin (monotonic seconds)."""
    began_s = time.monotonic()
    omni.allocate(machine_id, VERSION)
    return began_s


@contextmanager
def _samples(pid: int) -> Iterator[list[float]]:
    """Take samples of a process' PSS meanwhile."""
    samples: list[float] = []
    stop = threading.Event()

    def sample() -> None:
        while not stop.wait(SAMPLE_S):
            samples.append(pss_mb([pid]))

    thread = threading.Thread(target=sample, name="samples", daemon=True)
    thread.start()
    try:
        yield samples
    finally:
        stop.set()
        thread.join()
