"""The machines of a boot storm, in a process of their own: `python -m lab.bench.boot_storm URL SPREAD_S < PATHS`.

Each comes at a time of its own within the spread, and fetches the init script and then its boot script, each over a new
connection. Written is one line of JSON: the times of the boot scripts that came, and what came instead.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from collections import Counter
from typing import Final

from lab.fetch import FetchError, fetch

# The same storm each time.
SEED: Final = 6


async def storm(url: str, spread_s: float, paths: list[str]) -> tuple[list[float], Counter[str]]:
    """How long each boot script took, in ms; and by their words the failures, of which there should be none."""
    chance = random.Random(SEED)
    times_ms: list[float] = []
    failures: Counter[str] = Counter()

    async def boot(path: str, after_s: float) -> None:
        await asyncio.sleep(after_s)
        try:
            for target in ("/ipxe/init.ipxe", path):
                began_s = time.monotonic()
                answer = await fetch(url + target)
                if answer.status != 200:
                    failures[f"HTTP {answer.status}: {answer.text.strip()}"] += 1
                    return
            times_ms.append((time.monotonic() - began_s) * 1000)
        except FetchError as error:
            failures[str(error)] += 1

    await asyncio.gather(*(boot(path, chance.uniform(0, spread_s)) for path in paths))
    return times_ms, failures


def main() -> None:
    """Run a storm and write what came of it."""
    url, spread_s = sys.argv[1:]
    times_ms, failures = asyncio.run(storm(url, float(spread_s), sys.stdin.read().split()))
    json.dump({"times_ms": times_ms, "failures": failures}, sys.stdout)


if __name__ == "__main__":
    main()
