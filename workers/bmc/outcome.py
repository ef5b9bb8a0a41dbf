"""What comes of a session with a BMC: what was found out, why it came to nothing, whether the BMC is let rest."""

from __future__ import annotations

from dataclasses import replace

import structlog

from app.agents.words import clean
from app.machine.model import BmcConfiguration
from app.state.bmc_lease import Taken
from app.state.bmc_notes import NEXT, TROUBLE, BmcFound, BmcTrouble, trouble_text
from workers.bmc.client import Bmc
from workers.bmc.errors import BmcAuthenticationFailed, BmcError
from workers.bmc.known import BmcKind, Known

log = structlog.get_logger()


def found_now(taken: Taken, given: Known | None, known: Known, now_ms: int) -> BmcFound:
    """As it is remembered: since it was found out, not since more was learned of it. News is logged.

    Args:
        taken: the lease, with what was noted before.
        given: with what the session began.
        known: what it knows now.
        now_ms: Redis' clock.
    """
    before = taken.found
    found_ms = now_ms if given is None or before is None else before.found_ms
    said = clean(known.vendor), clean(known.model), clean(known.firmware), clean(known.doubt)
    found = BmcFound(known.kind.value, known.system, *said, found_ms, known.matched)
    if before is None or replace(before, found_ms=found_ms) != found:
        log.info("bmc_found", machine_id=taken.machine_id, kind=found.kind, name=found.name, doubt=found.doubt)
    return found


def refused_again(configuration: BmcConfiguration) -> BmcAuthenticationFailed:
    """What is raised where the login was refused before: nothing was sent."""
    words = "the BMC refused this login before and is not asked again"
    error = BmcAuthenticationFailed(words, executed=False).of(configuration)
    error.refusals = 0
    return error


def needs_rest(session: Bmc | None, given: Known | None, error: Exception | None, login: BmcConfiguration) -> bool:
    """Whether IPMI was spoken, or may have been: some such BMCs freeze after a burst of sessions."""
    if session is not None:
        return session.known.kind is BmcKind.IPMI
    may_be = given is None or given.kind is BmcKind.IPMI
    return may_be and error is not None and not login.api_address


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
