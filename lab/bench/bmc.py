"""`make bench-bmc`: how long one sweep of the power of 1,000 BMCs takes, of each kind; exit status 1 if a bound breaks.

Each answer takes 100 ms, and one BMC in twenty never answers; in the sweep that is judged these are asked beside the
others. The real watcher, Redis and workers read them, with one process for the sweep. The virtual BMCs and the stand-in
Omni run on the same processors as these; what they take of them is told, and is part of the time that is judged.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Final

from lab.bench.bmc_fleet import API, IPMI, REDFISH, BmcFleet, FleetProgram
from lab.bench.bmc_site import BmcSite, Order, Sweep, processors
from lab.bench.rows import Row, table
from lab.product import ProductError

MACHINES: Final = 1_000
KINDS: Final = {"api": API, "ipmi": IPMI, "redfish": REDFISH}
ORDERS: Final = 5
# A person who switches a machine on looks away after about as long.
ORDER_LIMIT_S: Final = 2.0


def measure(program: FleetProgram, machines: int) -> list[Row]:
    """Sweep twice, with power-ons in the second. Raises TimeoutError, ProductError."""
    with BmcSite(program, machines) as site:
        first = site.sweep()
        site.rest()
        site.until_all_are_due()
        steady = site.sweep(site.fleet.living[:: max(1, len(site.fleet.living) // ORDERS)][:ORDERS])
        orders = site.orders()
        site.rest()
        asked = site.silent_asked(steady)
    living = len(site.fleet.living)
    return [
        *judge_sweep(program, living, "first", first, bound_s=None),
        *judge_sweep(program, living, "steady", steady, bound_s=program.limit_s),
        judge_silent(program, "steady", asked, len(site.fleet.silent)),
        judge_orders(program, orders),
        *judge_manners(program, site.fleet),
    ]


def judge_sweep(program: FleetProgram, living: int, which: str, sweep: Sweep, *, bound_s: float | None) -> list[Row]:
    """What to say of a sweep. bound_s: None where it is only told."""
    what = f"{program.name}: {which} sweep of {living:,} that answer"
    each_ms = 1000 * sweep.provider_s / max(1, living)
    return [
        Row(
            what,
            f"{sweep.wall_s:.1f} s",
            f"at most {bound_s:g} s" if bound_s else "",
            None if bound_s is None else sweep.wall_s <= bound_s,
        ),
        Row(f"{what}: not read", str(sweep.unread), "none", sweep.unread == 0),
        Row(f"{what}: processor time of the provider", f"{sweep.provider_s:.1f} s, {each_ms:.1f} ms each"),
        Row(f"{what}: processor time of the stand-ins", f"{sweep.stand_ins_s:.1f} s on {processors()} processors"),
        Row(f"{what}: processor time of all else on this host", f"{sweep.others_s:.1f} s"),
    ]


def judge_silent(program: FleetProgram, which: str, asked: int, silent: int) -> Row:
    """What to say of the BMCs that never answer: a sweep that leaves them out is no sweep of them all."""
    what = f"{program.name}: silent ones that the {which} sweep asked"
    return Row(what, f"{asked} of {silent}", "all", asked == silent)


def judge_orders(program: FleetProgram, orders: Sequence[Order]) -> Row:
    """What to say of power-ons that were wanted during a sweep: the slowest counts."""
    begins_s, armed_s, on_s = (
        max(times) for times in zip(*((o.begins_s, o.armed_s, o.on_s) for o in orders), strict=True)
    )
    return Row(
        f"{program.name}: from Omni's wish amid a sweep until its session with the BMC begins (PXE armed, power on)",
        f"{begins_s:.2f} s ({armed_s:.2f} s, {on_s:.2f} s) at most, {len(orders)} machines",
        f"at most {ORDER_LIMIT_S:g} s",
        len(orders) == ORDERS and begins_s <= ORDER_LIMIT_S,
    )


def judge_manners(program: FleetProgram, fleet: BmcFleet) -> list[Row]:
    """What to say of how the BMCs were treated, once all of it has ended."""
    counts = fleet.counts
    most = int(counts["most_users"])
    left, slots = (int(counts[name]) + int(counts[f"{name}_expired"]) for name in ("sessions", "slots"))
    return [
        Row(f"{program.name}: most users of a BMC at a time", str(most), "1", most == 1),
        Row(f"{program.name}: sessions left open", str(left), "none", left == 0),
        Row(f"{program.name}: session slots not given back", str(slots), "none", slots == 0),
    ]


def main() -> int:
    """Measure and print; the answer is the exit status."""
    parser = argparse.ArgumentParser(prog="python -m lab.bench.bmc", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--kind", action="append", choices=list(KINDS), help="measured alone, or with others (all)")
    parser.add_argument("--machines", type=int, default=MACHINES, help="how many BMCs of each kind (1000)")
    given = parser.parse_args()
    rows: list[Row] = []
    try:
        for kind in given.kind or KINDS:
            rows += measure(KINDS[kind], given.machines)
    except (ProductError, TimeoutError) as error:
        sys.stderr.write(f"omni-metal bench: {error}\n")
        rows.append(Row("nothing more was measured", str(error).partition("\n")[0], "", holds=False))
    sys.stdout.write(table(rows))
    return 1 if any(row.holds is False for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
