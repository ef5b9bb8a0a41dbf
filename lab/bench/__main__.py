"""`make bench`: one table of runs with 10, 100 and 1,000 machines."""

from __future__ import annotations

import argparse
import asyncio
import shutil
import sys
from typing import Final

from lab.bench import by_lab, by_rack
from lab.bench.figures import Figures, table
from lab.product import ProductError

USUAL: Final = (10, 100, 1000)


def main() -> int:
    """Measure and print; the answer is the exit status."""
    parser = argparse.ArgumentParser(prog="python -m lab.bench", description=__doc__)
    parser.add_argument("machines", nargs="*", type=int, default=USUAL, help="sizes of the racks (10 100 1000)")
    parser.add_argument(
        "--rack", default=shutil.which("rack"), help="the outside program (`rack`, where it is on PATH)"
    )
    parser.add_argument("--lab", action="store_true", help="measure in the lab although there is one")
    given = parser.parse_args()
    program = None if given.lab else given.rack
    measured: list[Figures] = []
    _say(f"measured by {program or 'the lab, whose stand-ins share the processors with the provider'}")
    try:
        for machines in given.machines:
            _say(f"{machines} machines")
            measured.append(by_rack.measure(program, machines) if program else asyncio.run(by_lab.measure(machines)))
    except (by_rack.RackError, ProductError, TimeoutError) as error:
        _say(f"omni-metal bench: {error}")
        return 1
    finally:
        sys.stdout.write(table(measured))
    return 0


def _say(words: str) -> None:
    sys.stderr.write(words + "\n")


if __name__ == "__main__":
    sys.exit(main())
