"""What happened in a rack, told for the BMCs of each kind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from lab.bmc.chassis import BmcKind
from lab.bmc.dice import Fault
from lab.machine import VirtualMachine
from lab.story import Told

Name = TypeVar("Name", bound=str)


@dataclass(frozen=True, slots=True)
class KindTold:
    """The BMCs of one kind, all together.

    machines: how many have such a BMC.
    calls: what the BMCs were asked for. executed: which buttons were really pressed.
    logins, refused_logins: those that were let in, and those that were not.
    faults: how often the dice have let something go wrong.
    """

    machines: int
    calls: Counter[str]
    executed: Counter[str]
    logins: int
    refused_logins: int
    faults: Counter[Fault]

    def summary(self) -> dict[str, Any]:
        """The same, for a program to read."""
        return {
            "machines": self.machines,
            "calls": dict(sorted(self.calls.items())),
            "executed": dict(sorted(self.executed.items())),
            "logins": self.logins,
            "refused_logins": self.refused_logins,
            "faults": dict(sorted(self.faults.items())),
        }


def by_kind(machines: Sequence[VirtualMachine]) -> dict[BmcKind, KindTold]:
    """Sum up the ledgers of each kind that there is."""
    return {kind: _told([m for m in machines if m.kind is kind]) for kind in _kinds(machines)}


def slowest_s(told: Told, machines: Sequence[VirtualMachine]) -> dict[BmcKind, float]:
    """How long a step took for the slowest machine of each kind, of those for which it came true."""
    slowest: dict[BmcKind, float] = {}
    for machine in machines:
        took_s = told.reached.get(machine.id, 0.0)
        slowest[machine.kind] = max(took_s, slowest.get(machine.kind, 0.0))
    return slowest


def count_kinds(machines: Sequence[VirtualMachine]) -> str:
    """How many machines have which BMC, in words."""
    return ", ".join(f"{sum(m.kind is kind for m in machines)} {kind.value}" for kind in _kinds(machines))


def in_words(counts: Counter[str] | Counter[Fault]) -> str:
    """Counts in a line, by name."""
    return ", ".join(f"{count} {name}" for name, count in sorted(counts.items()) if count) or "nothing"


def _kinds(machines: Sequence[VirtualMachine]) -> list[BmcKind]:
    held = {machine.kind for machine in machines}
    return [kind for kind in BmcKind if kind in held]


def _told(machines: Sequence[VirtualMachine]) -> KindTold:
    ledgers = [machine.bmc.ledger for machine in machines]
    return KindTold(
        len(machines),
        _sum(ledger.calls for ledger in ledgers),
        _sum({button.value: count for button, count in ledger.executed.items()} for ledger in ledgers),
        sum(ledger.logins for ledger in ledgers),
        sum(ledger.refused_logins for ledger in ledgers),
        _sum(machine.bmc.dice.fallen for machine in machines),
    )


def _sum(counts: Iterable[Mapping[Name, int]]) -> Counter[Name]:
    total: Counter[Name] = Counter()
    for each in counts:
        total.update(each)
    return total
