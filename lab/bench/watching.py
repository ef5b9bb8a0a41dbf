"""`make bench-omni`: how soon a change in Omni reaches a decision, and how much memory watching takes.

The real watcher process watches the lab's stand-in Omni, over TLS and with signed calls; the stand-in runs in this very
process, so on few processors the times are more than the watcher's own.

- Machines are put into a cluster, one after the other. A change counts as decided on when the report that follows from
  the decision has reached Omni, so the way there is in the time.
- Memory is the watcher's PSS, once the mirror is complete and all reports are written, and the most that was seen
  until then and through a comparison of all kinds.
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
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
from lab.omni.store import Place
from protos.gen.cosi import state_pb2

VERSION: Final = "1.13.7"
CHANGED_LIMIT_S: Final = 30.0
# As often as machines change on a busy day of a large site; more would measure how a queue fills.
PAUSE_S: Final = (0.02, 0.12)
SAMPLE_S: Final = 0.05
MACHINES_OF_TIMES, MACHINES_OF_MEMORY = 1000, 5000
BOUND_MS, BOUND_MB = 100.0, 100.0


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
        if "omni.sidero.dev/cluster" in metadata.labels:
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
    """The watcher's PSS once it is settled, and the most until then and through a comparison. Raises TimeoutError."""
    with _peak(watched.pid) as peak:
        watched.settle()
        settled = pss_mb([watched.pid])
        # All watches begin anew at once, which a comparison does one by one.
        watched.omni.do(lambda o: o.end_watches(grpc.StatusCode.UNAVAILABLE, "bench"))
        time.sleep(1)
        watched.settle()
    return max(settled, pss_mb([watched.pid])), max(peak)


def main() -> int:
    """Measure and print; the answer is the exit status: 1 where a bound does not hold."""
    parser = argparse.ArgumentParser(prog="python -m lab.bench.watching", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--machines", type=int, default=MACHINES_OF_TIMES, help="for the times (1000)")
    parser.add_argument("--watched", type=int, default=MACHINES_OF_MEMORY, help="for the memory (5000)")
    given = parser.parse_args()
    with Watched(given.machines) as watched:
        _say(f"{given.machines} machines settled after {watched.settle():.1f} s")
        times_ms = sorted(reaction_times_ms(watched))
    p99_ms = times_ms[min(len(times_ms) - 1, int(len(times_ms) * 0.99))]
    median_ms, longest_ms = statistics.median(times_ms), times_ms[-1]
    _say(
        f"a change in Omni reaches a decision at {given.machines} machines: median {median_ms:.0f} ms, "
        f"p99 {p99_ms:.0f} ms, longest {longest_ms:.0f} ms (p99 is to be under {BOUND_MS:.0f} ms)"
    )
    with Watched(given.watched) as watched:
        settled_mb, peak_mb = memory_mb(watched)
    _say(
        f"watching {given.watched} machines takes {settled_mb:.0f} MB, at most {peak_mb:.0f} MB "
        f"(is to be under {BOUND_MB:.0f} MB)"
    )
    return 0 if p99_ms < BOUND_MS and peak_mb < BOUND_MB else 1


def _allocate(machine_id: str, omni: StandInOmni) -> float:
    """Put a machine into a cluster; the answer is when that was about to begin (monotonic seconds)."""
    began_s = time.monotonic()
    omni.allocate(machine_id, VERSION)
    return began_s


@contextmanager
def _peak(pid: int) -> Iterator[list[float]]:
    """Take samples of a process' PSS meanwhile."""
    samples, stop = [0.0], threading.Event()

    def sample() -> None:
        while not stop.wait(SAMPLE_S):
            samples.append(pss_mb([pid]))

    thread = threading.Thread(target=sample, daemon=True)
    thread.start()
    try:
        yield samples
    finally:
        stop.set()
        thread.join()


def _say(words: str) -> None:
    sys.stdout.write(words + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
