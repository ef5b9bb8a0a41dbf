"""`make bench-boot`: a storm of machines that boot, and boots in steady state; exit status 1 where a bound is broken.

The whole provider runs, with two web processes. The image factory takes 50 ms for a question and Omni 30 ms for a call.
Machines, stand-ins and the loader share the processors with it, so the figures are less than the provider's own.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import sys
import tempfile
from collections.abc import Iterable, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, Final

from lab.bench.boot_fleet import boot_paths, strangers
from lab.bench.boot_site import BootSite
from lab.bench.boot_steady import command as steady_command
from lab.bench.processes import cpu_s, family, pss_mb
from lab.bench.quantiles import median, p99
from lab.bench.rows import Row, table
from lab.product import ProductError

MACHINES: Final = 1_000
SPREAD_S: Final = 10.0
CONNECTIONS: Final = 32
SECONDS: Final = 10
# Half of what a person notices, with all of a rack switched on at once.
LONGEST_STORM_P99_MS: Final = 250.0
# Half again what the Go provider answers on two processors.
RATE_GOAL: Final = 2_790
P99_GOAL_MS: Final = 50.0
MOST_MEMORY_MB: Final = 1_200.0
FAILURES_SHOWN: Final = 5


async def measure(machines: int, spread_s: float, seconds: int) -> list[Row]:
    """Run both. Raises TimeoutError, `lab.product.ProductError`."""
    async with BootSite(machines) as site:
        await site.settle()
        half = machines // 2
        # Every other one of them boots for the first time.
        stormy = list(chain.from_iterable(zip(site.ids[:half], strangers(half), strict=True)))
        storm = await _said(
            [sys.executable, "-m", "lab.bench.boot_storm", site.url, str(spread_s)], boot_paths(stormy)
        )
        site.product.check()
        rows = judge_storm(len(stormy), spread_s, storm["times_ms"], storm["failures"], site.questions)
        await site.settle()
        rows += await _steady(site, seconds)
        rows.append(judge_memory(machines, pss_mb(family(site.product.pid))))
        return rows


def judge_storm(
    machines: int, spread_s: float, times_ms: Sequence[float], failures: dict[str, int], questions: int
) -> list[Row]:
    """What to say of a storm. failures: how often something else came than a script, by its words."""
    for words, count in sorted(failures.items(), key=lambda item: -item[1])[:FAILURES_SHOWN]:
        sys.stderr.write(f"{count} times: {words}\n")
    longest_ms, storm = p99(times_ms), f"storm of {machines:,} machines within {spread_s:g} s"
    return [
        Row(f"{storm}: boot scripts", f"{len(times_ms):,}", "all", len(times_ms) == machines),
        Row(
            f"{storm}: p99 (median) of boot.ipxe",
            f"{longest_ms:.0f} ms ({median(times_ms):.0f} ms)",
            f"under {LONGEST_STORM_P99_MS:.0f} ms",
            bool(times_ms) and longest_ms < LONGEST_STORM_P99_MS,
        ),
        Row(f"{storm}: questions to the image factory", str(questions)),
    ]


def judge_steady(said: dict[str, float], ours_s: float, loader_s: float) -> list[Row]:
    """What to say of boots in steady state. ours_s, loader_s: processor time."""
    answers, took_s, failed = int(said["answers"]), said["took_s"], int(said["failed"])
    steady, each_ms = f"steady state, {CONNECTIONS} connections", 1000 / max(answers, 1)
    return [
        Row(f"{steady}: boot scripts a second", f"{answers / took_s:,.0f}", f"goal {RATE_GOAL:,}"),
        Row(
            f"{steady}: p99 (median)",
            f"{said['p99_ms']:.0f} ms ({said['median_ms']:.0f} ms)",
            f"goal under {P99_GOAL_MS:.0f} ms",
        ),
        Row(f"{steady}: other answers", str(failed), "none", holds=failed == 0),
        Row(f"{steady}: processor time of a boot", f"{ours_s * each_ms:.2f} ms"),
        Row(f"{steady}: the loader's own", f"{loader_s * each_ms:.2f} ms"),
    ]


def judge_memory(machines: int, memory_mb: float) -> Row:
    """What to say of the memory of all processes."""
    return Row(
        f"memory of all processes at {machines:,} machines",
        f"{memory_mb:.0f} MB",
        f"under {MOST_MEMORY_MB:,.0f} MB",
        memory_mb < MOST_MEMORY_MB,
    )


async def _steady(site: BootSite, seconds: int) -> list[Row]:
    with tempfile.TemporaryDirectory(prefix="omni-metal-bench-") as name:
        paths = Path(name) / "paths"
        paths.write_text("".join(f"{path}\n" for path in boot_paths(site.ids)), encoding="utf-8")
        ours_s, loader_s = cpu_s(family(site.product.pid)), _children_s()
        said = await _said(steady_command(site.url, CONNECTIONS, seconds, paths))
        return judge_steady(said, cpu_s(family(site.product.pid)) - ours_s, _children_s() - loader_s)


async def _said(command: list[str], lines: Iterable[str] = ()) -> Any:
    """Run a loader; the answer is what its last line says."""
    pipe = asyncio.subprocess.PIPE
    loader = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe)
    output, _ = await loader.communicate("\n".join(lines).encode())
    if loader.returncode != 0:
        raise ProductError(f"{command[0]} has ended with exit status {loader.returncode}")
    return json.loads(output.strip().rpartition(b"\n")[2])


def _children_s() -> float:
    """Processor time of the children that have ended, which the provider has not."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> int:
    """Measure and print; the answer is the exit status."""
    parser = argparse.ArgumentParser(prog="python -m lab.bench.boot", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--machines", type=int, default=MACHINES, help="known to Omni; as many are in the storm (1000)")
    parser.add_argument("--spread", type=float, default=SPREAD_S, help="seconds within which they come (10)")
    parser.add_argument("--seconds", type=int, default=SECONDS, help="of steady state (10)")
    given = parser.parse_args()
    try:
        rows = asyncio.run(measure(given.machines, given.spread, given.seconds))
    except (ProductError, TimeoutError) as error:
        sys.stderr.write(f"omni-metal bench: nothing was measured: {error}\n")
        return 1
    sys.stdout.write(table(rows))
    return 1 if any(row.holds is False for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
