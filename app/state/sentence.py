"""The one sentence about a machine: what runs, what failed, what its BMC is to blame for, or why nothing is done."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from app.machine.decide import operation_id
from app.machine.model import Decision
from app.machine.sentences import remedied
from app.state.attempts import Attempt
from app.state.bmc_notes import LOGIN_UNUSABLE, BmcTrouble
from app.state.lease import Lease


def made_again(machine_id: str, decision: Decision, attempt: Attempt) -> bool:
    """Whether what failed is due, so that it is tried once more when its time has come."""
    return any(attempt.operation_id == operation_id(machine_id, o) for o in decision.operations)


def foremost(machine_id: str, decision: Decision, attempts: Sequence[Attempt]) -> Attempt | None:
    """The failed attempt that matters most: a parked one, else one that is made again; None where there is neither."""
    again = [a for a in attempts if made_again(machine_id, decision, a)]
    return next(iter([*(a for a in attempts if a.parked), *again]), None)


def sentence(
    machine_id: str,
    decision: Decision,
    attempts: Sequence[Attempt],
    *,
    lease: Lease | None,
    queued: str | None,
    trouble: BmcTrouble | None,
) -> str:
    """What is to be said of the machine first."""
    if lease is not None:
        since = datetime.fromtimestamp(lease.since_ms / 1000, UTC)
        return f"{lease.operation} runs since {since:%H:%M:%S} UTC"
    if queued is not None:
        return f"{queued} is queued"
    why = decision.reasons[-1] if decision.reasons else ""
    failed = foremost(machine_id, decision, attempts)
    if failed is not None:
        state = "is parked" if failed.parked else "is tried again"
        return f"{failed.operation} {state} after {_counted(failed)}: {failed.words}"
    if trouble is not None:
        return f"Its power is not known: the BMC {_fault(trouble)}. {_told(decision, trouble)}"
    if attempts:
        gone = f"{attempts[0].operation} has failed ({_counted(attempts[0])}), and is not due now: {attempts[0].words}"
        return remedied(gone, why)
    return why


def _counted(failed: Attempt) -> str:
    return "1 failed attempt" if failed.count == 1 else f"{failed.count} failed attempts"


def _fault(trouble: BmcTrouble) -> str:
    """What its BMC does instead, since when, as which error, and when it is asked again."""
    since = datetime.fromtimestamp(trouble.since_ms / 1000, UTC)
    fault = "refuses the login" if trouble.refused else "cannot be read"
    if trouble.error == LOGIN_UNUSABLE:
        fault = "cannot be spoken to with its login"
    again = datetime.fromtimestamp(trouble.next_ms / 1000, UTC)
    asked = f", asked again at {again:%H:%M:%S} UTC" if trouble.next_ms else ""
    return f"{fault} since {since:%Y-%m-%d %H:%M} UTC ({trouble.error}{asked})"


def _told(decision: Decision, trouble: BmcTrouble) -> str:
    """The cause and the remedy; of a refused login, what is decided about it: that depends on who gave it."""
    about = next((r for r in decision.reasons if r.startswith("The BMC refuses")), "") if trouble.refused else ""
    return remedied(trouble.words, about) if about else trouble.told
