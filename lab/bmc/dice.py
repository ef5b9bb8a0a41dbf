"""What may go wrong at a virtual BMC, how often, and the dice that decide when.

One die for each fault: how often one of them is thrown does not change what the others show, so a BMC with the same
seed that is asked for the same things fails in the same places.
"""

from __future__ import annotations

import enum
import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Final, Self

# Slower than BMCs are on most days, and less than the shortest limit of the provider, the 5 s of the api kind.
SLOW_S: Final = 3.0


class Fault(enum.StrEnum):
    """One way to fail."""

    EXPLICIT = "explicit"
    """A command is refused with an error, and not done."""
    SILENT = "silent"
    """A command is answered with success, and not done."""
    SLOW = "slow"
    """The answer comes after `Odds.slow_s`."""
    WRONG_STATE = "wrong-state"
    """One reading of the power tells the opposite."""
    DROP_AFTER = "drop-after"
    """A command is done, and its answer never comes."""
    UNAUTHORIZED = "unauthorized"
    """One login or request is refused, though the login is right."""
    BUSY = "busy"
    """The BMC has no time, or no session left."""
    PACKET_LOSS = "packet-loss"
    """A packet, or a connection, is lost: before what it says is done or after it."""


@dataclass(frozen=True, slots=True)
class Odds:
    """How likely each fault is, from 0 to 1, each time that it could happen. slow_s: how late a slow answer comes."""

    explicit: float = 0.0
    silent: float = 0.0
    slow: float = 0.0
    wrong_state: float = 0.0
    drop_after: float = 0.0
    unauthorized: float = 0.0
    busy: float = 0.0
    packet_loss: float = 0.0
    slow_s: float = SLOW_S

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `explicit=0.1,packet-loss=0.03`.

        Raises:
            ValueError: the text is not of that form; the words name the piece and the remedy.
        """
        read: dict[str, float] = {}
        for piece in filter(None, (piece.strip() for piece in text.split(","))):
            name, equals, value = piece.partition("=")
            key = name.strip().replace("-", "_")
            if not equals or key not in _NAMES:
                raise ValueError(f"{piece!r} is no NAME=NUMBER with a name of {', '.join(_NAMES.values())}")
            if key in read:
                raise ValueError(f"{name.strip()!r} stands there twice")
            read[key] = _number(piece, value, 1.0 if key != "slow_s" else None)
        return cls(**read)

    def of(self, fault: Fault) -> float:
        """How likely this fault is."""
        likely: float = getattr(self, fault.value.replace("-", "_"))
        return likely

    @property
    def fair(self) -> bool:
        """Whether nothing ever goes wrong."""
        return not any(self.of(fault) for fault in Fault)


_NAMES: Final[Mapping[str, str]] = {field.name: field.name.replace("_", "-") for field in fields(Odds)}


def _number(piece: str, text: str, most: float | None) -> float:
    try:
        number = float(text)
    except ValueError:
        raise ValueError(f"{piece!r}: {text.strip()!r} is no number") from None
    if not 0 <= number <= (most or float("inf")) or number == float("inf"):
        raise ValueError(f"{piece!r}: a number from 0 {'to 1' if most else 'of seconds'} is wanted")
    return number


class Dice:
    """The dice of one BMC. `fallen`: how often each fault came about. `odds` may be changed at any time."""

    def __init__(self, odds: Odds | None = None, seed: int | str = 0) -> None:
        self.odds = odds or Odds()
        self.fallen: Counter[Fault] = Counter()
        self._coin = random.Random(f"{seed}/coin")
        self._dice = {fault: random.Random(f"{seed}/{fault.value}") for fault in Fault}

    def falls(self, fault: Fault) -> bool:
        """Throw the die of this fault: whether it happens now."""
        likely = self.odds.of(fault)
        happens = likely > 0 and self._dice[fault].random() < likely
        if happens:
            self.fallen[fault] += 1
        return happens

    def coin(self) -> bool:
        """Decide what a fault leaves open."""
        return self._coin.random() < 0.5
