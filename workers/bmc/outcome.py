"""What is noted of a session with a BMC that came to nothing: why, since when, and when it is asked again."""

from __future__ import annotations

from app.agents.words import clean
from app.state.bmc_lease import Taken
from app.state.bmc_notes import NEXT, TROUBLE, BmcTrouble, trouble_text
from workers.bmc.errors import BmcError


def failure_notes(taken: Taken, error: Exception, now_ms: int, *, refused: bool) -> dict[str, str | bytes | int]:
    """The notes of one failure more in a row.

    Args:
        taken: the lease, with what was noted before.
        error: what went wrong.
        now_ms: Redis' clock.
        refused: the BMC refuses the login, and is not asked again by the clock.
    """
    before = taken.trouble
    if before is not None and before.place != taken.place:
        before = None
    count = before.count + 1 if before else 1
    said = isinstance(error, BmcError)
    trouble = BmcTrouble(
        since_ms=before.since_ms if before and before.refused is refused else now_ms,
        refused=refused,
        words=clean(str(error)) if said else f"a fault of the program ({type(error).__name__})",
        error=type(error).__name__,
        hint=error.hint if isinstance(error, BmcError) else "",
        count=count,
        place=taken.place,
    )
    pauses_s = error.backoff_s if isinstance(error, BmcError) else BmcError.backoff_s
    next_ms = now_ms + int(pauses_s[min(count, len(pauses_s)) - 1] * 1000)
    return {TROUBLE: trouble_text(trouble), NEXT: "" if refused else next_ms}
