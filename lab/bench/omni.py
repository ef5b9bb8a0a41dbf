"""`make bench-omni`: the figures of the wire towards Omni, each with its bound; exit status 1 where one does not hold.

The real watcher and the real client talk to the lab's stand-in Omni, with signed calls. The stand-in and what measures
are one process beside the watcher's, so on few processors, or busy ones, the figures are worse than the provider's own.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from app.errors import StartError
from lab.bench.fleet import machine_ids
from lab.bench.signed_calls import best_second
from lab.bench.watched import Watched
from lab.bench.watching import memory_mb, reaction_times_ms
from lab.omni.certificates import make_certificate

MACHINES_OF_TIMES: Final = 1_000
MACHINES_OF_MEMORY: Final = 5_000
LONGEST_P99_MS: Final = 100.0
MOST_MEMORY_MB: Final = 100.0
LEAST_CALLS_PER_S: Final = 400


@dataclass(frozen=True, slots=True)
class Finding:
    """What was measured, in words, and whether its bound holds."""

    words: str
    bound: str
    holds: bool

    def __str__(self) -> str:
        return f"{'ok    ' if self.holds else 'NOT OK'}  {self.words} ({self.bound})"


def signed_calls() -> Finding:
    """Signed calls a second on one connection, without TLS and with it."""
    plain, secure = best_second(None), best_second(make_certificate("omni.lab"))
    words = f"signed calls on one connection: {secure} a second with TLS, {plain} without"
    return Finding(words, f"at least {LEAST_CALLS_PER_S}", min(plain, secure) >= LEAST_CALLS_PER_S)


def reaction(machines: int) -> Finding:
    """How soon a change in Omni reaches a decision. Raises TimeoutError."""
    with Watched(machine_ids(machines)) as watched:
        watched.settle()
        return judge_times(machines, reaction_times_ms(watched))


def judge_times(machines: int, times_ms: list[float]) -> Finding:
    """What to say of these times: of a hundred, 99 must be short."""
    ordered = sorted(times_ms)
    p99_ms = ordered[-(-len(ordered) * 99 // 100) - 1]
    words = f"a change in Omni reaches a decision at {machines} machines: median {statistics.median(ordered):.0f} ms, "
    words += f"p99 {p99_ms:.0f} ms, longest {ordered[-1]:.0f} ms"
    return Finding(words, f"p99 under {LONGEST_P99_MS:.0f} ms", p99_ms < LONGEST_P99_MS)


def memory(machines: int) -> Finding:
    """How much memory watching takes. Raises TimeoutError."""
    with Watched(machine_ids(machines)) as watched:
        return judge_memory(machines, *memory_mb(watched))


def judge_memory(machines: int, settled_mb: float, most_mb: float) -> Finding:
    """What to say of this memory: the most counts."""
    words = f"watching {machines} machines takes {settled_mb:.0f} MB, at most {most_mb:.0f} MB"
    return Finding(words, f"under {MOST_MEMORY_MB:.0f} MB", most_mb < MOST_MEMORY_MB)


def main() -> int:
    """Measure and print; the answer is the exit status."""
    parser = argparse.ArgumentParser(prog="python -m lab.bench.omni", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--machines", type=int, default=MACHINES_OF_TIMES, help="for the times (1000)")
    parser.add_argument("--watched", type=int, default=MACHINES_OF_MEMORY, help="for the memory (5000)")
    given = parser.parse_args()
    return measure(signed_calls, lambda: reaction(given.machines), lambda: memory(given.watched))


def measure(*measurements: Callable[[], Finding]) -> int:
    """Print each finding as it comes; the answer is 1 where a bound does not hold, or nothing could be measured."""
    status = 0
    for finding_of in measurements:
        try:
            finding = finding_of()
        except (TimeoutError, StartError) as error:
            finding = Finding(f"nothing was measured: {error}", "see above", holds=False)
        sys.stdout.write(f"{finding}\n")
        sys.stdout.flush()
        status = status if finding.holds else 1
    return status


if __name__ == "__main__":
    sys.exit(main())
