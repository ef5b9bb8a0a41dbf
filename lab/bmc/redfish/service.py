"""What all parts of one virtual Redfish service share."""

from __future__ import annotations

from dataclasses import dataclass, field

from lab.bmc.dice import Dice
from lab.bmc.ledger import Ledger
from lab.bmc.redfish.traits import Traits


@dataclass(frozen=True, slots=True)
class Service:
    """What it is like, what may go wrong, and what happened."""

    traits: Traits = field(default_factory=Traits)
    dice: Dice = field(default_factory=Dice)
    ledger: Ledger = field(default_factory=Ledger)
