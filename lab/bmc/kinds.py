"""The kinds of virtual BMCs, and how one of each is made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Final

from lab.bmc.api import VirtualApiBmc
from lab.bmc.chassis import BmcKind, Chassis, VirtualBmc
from lab.bmc.dice import Dice
from lab.bmc.ipmi.server import VirtualIpmiBmc
from lab.bmc.ledger import Ledger
from lab.bmc.redfish.server import VirtualRedfishBmc
from lab.omni.certificates import Certificate, make_certificate

ALL_KINDS: Final = tuple(BmcKind)

Make = Callable[[Chassis, str, Dice], VirtualBmc]
"""Makes the BMC of a machine: what it is wired to, the machine's UUID, its dice."""


def parse_kinds(text: str) -> tuple[BmcKind, ...]:
    """Read `api,redfish`, in any order and as often as it stands there.

    Raises:
        ValueError: a piece is no kind, or there is none; the words say which there are.
    """
    names = [name for name in (piece.strip() for piece in text.split(",")) if name]
    known = ", ".join(ALL_KINDS)
    if not names:
        raise ValueError(f"name one or more of {known}")
    for name in names:
        if name not in set(BmcKind):
            raise ValueError(f"{name!r} is none of {known}")
    return tuple(BmcKind(name) for name in names)


def make_bmc(kind: BmcKind, chassis: Chassis, machine_id: str, dice: Dice) -> VirtualBmc:
    """A BMC of this kind, with an empty ledger; it listens nowhere yet."""
    return _MAKERS[kind](chassis, machine_id, dice)


@lru_cache(maxsize=1)
def _certificate() -> Certificate:
    """That of all Redfish BMCs of a rack: BMCs sign their own, so nobody trusts them anyhow."""
    return make_certificate("bmc.lab")


_MAKERS: Final[Mapping[BmcKind, Make]] = {
    BmcKind.API: lambda chassis, _, dice: VirtualApiBmc(chassis, dice, Ledger()),
    BmcKind.REDFISH: lambda chassis, machine_id, dice: VirtualRedfishBmc(
        chassis, machine_id, dice, Ledger(), _certificate()
    ),
    BmcKind.IPMI: lambda chassis, _, dice: VirtualIpmiBmc(chassis, dice, Ledger()),
}
