"""Words that several decisions share when they are explained to a person."""

from __future__ import annotations

from dataclasses import dataclass

from app.machine.facts import Standing
from app.machine.model import Gate, Operation

# Long enough for any id, short enough for a line on a console.
_LONGEST_SHOWN = 80

GATE_WORDS = {
    Gate.REJECTED: "The operator rejected the machine: it is left alone.",
    Gate.NOT_ACCEPTED: "The operator has not accepted the machine yet: it waits in agent mode.",
    Gate.CORDONED: "The machine is cordoned: it is left as it is.",
    Gate.RECORD_LOST: (
        "We wiped this machine once, but the record of it is lost: nothing is done with it until a person decides. "
        "`omni-metal record MACHINE --adopt` keeps what is on its disks (only in a cluster), `--wipe` has them wiped."
    ),
}


@dataclass(frozen=True, slots=True)
class Weighed:
    """What came of weighing one matter: operations that are due, reasons, and the rest of a cooldown (s)."""

    operations: tuple[Operation, ...] = ()
    reasons: tuple[str, ...] = ()
    wait_s: float | None = None


def due(operation: Operation) -> Weighed:
    """The operation is due, for the reason that it carries."""
    return Weighed((operation,), (operation.reason,))


def because(*reasons: str) -> Weighed:
    """Nothing is due."""
    return Weighed(reasons=reasons)


def remedied(cause: str, remedy: str) -> str:
    """The cause and the remedy. What others say may end with a full stop of its own."""
    return f"{cause.rstrip('. ')}{'' if cause.endswith(('?', '!')) else '.'} {remedy}" if remedy else cause


def shown(text: str) -> str:
    """A value from outside in quotes: one printable line of bounded length."""
    clean = "".join(c if c.isprintable() else "?" for c in text)
    return f'"{clean if len(clean) <= _LONGEST_SHOWN else clean[:_LONGEST_SHOWN] + "…"}"'


def duration(seconds: float) -> str:
    """Seconds for a person, rounded up: 12 s, 14 min 3 s, 2 h 5 min."""
    whole = int(-(-seconds // 1))
    minutes, rest = divmod(whole, 60)
    hours, rest_minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {rest_minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def why_wipe(standing: Standing) -> str:
    """Why the disks must be wiped."""
    status = standing.machine.wipe_status
    if status is None:
        return "they have never been wiped by us"
    if not status.initial_wipe_done:
        return "their first wipe is not done"
    return f"Omni wants the wipe {shown(standing.wish.wipe_id)}, the last one was {shown(status.last_wipe_id)}"


def why_on(standing: Standing) -> str:
    """Why the machine must have power."""
    if standing.requires_wipe:
        return "its disks must be wiped"
    if standing.allocated:
        return f"it is in a cluster (Talos {shown(standing.wish.cluster_talos_version)})"
    return "a system is installed on it" if standing.installed else "Omni prefers it to be on"
