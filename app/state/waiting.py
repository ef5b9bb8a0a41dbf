"""The turn to draw power that a machine waits for, as it is noted in the machine's hash and shown to people."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from app.machine.model import Decision, Machine, Operation, OperationName

TURN: Final = "f:turn"
# Whoever still waits has asked again by then, and has noted another time.
_OVER_MS: Final = 60_000


@dataclass(frozen=True, slots=True)
class PowerTurn:
    """About when the machine's turn comes (ms, by Redis' clock), and how many machines have one in a minute."""

    at_ms: int
    a_minute: int


def turn_of(note: bytes | None) -> PowerTurn | None:
    """What the machine's hash says of it."""
    at_ms, _, a_minute = (note or b"").decode().partition(" ")
    return PowerTurn(int(at_ms), int(a_minute)) if a_minute else None


def powers_on(operation: Operation) -> bool:
    """Whether the machine will draw power anew. A teardown resets it where it arms the next boot."""
    if operation.name is OperationName.TEARDOWN:
        return bool(operation.pxe)
    return operation.name in (OperationName.POWER_ON, OperationName.REBOOT)


def waits_words(machine: Machine, decision: Decision, turn: PowerTurn | None) -> str:
    """Which operation waits for its turn, and until when; "" where none does."""
    waits = next((o for o in decision.operations if powers_on(o)), None)
    if waits is None or turn is None or machine.now.timestamp() * 1000 - turn.at_ms > _OVER_MS:
        return ""
    at = datetime.fromtimestamp(turn.at_ms / 1000, UTC)
    return f"{waits.name} waits for its turn, at about {at:%H:%M:%S} UTC: {rate_words(turn.a_minute)}"


def rate_words(a_minute: int) -> str:
    """The limit, in words."""
    return "1 power-on a minute" if a_minute == 1 else f"{a_minute} power-ons a minute"
