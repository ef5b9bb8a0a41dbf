"""Try a login right after it was stored: a BMC that refuses it is said at once, with the remedy.

A BMC that locks out refuses the right login as well. So no more than three refusals come within a minute, whoever has
them, and a login that took the place of a refused one gets a second trial after the longest lock-out.
"""

from __future__ import annotations

import time
from typing import Final

from app.agents.words import clean
from app.machine.decide import operation_id as id_of
from app.machine.model import BmcConfiguration
from app.machine.sentences import duration
from workers.bmc.errors import MOST_REFUSALS, BmcAuthenticationFailed, BmcError, BmcLoginUnusable
from workers.errors import NewLoginNotTaken, NewLoginRefused, OperationError, UserLoginRefused
from workers.lockout import rest_s
from workers.turn import NotDue, Turn

# An iDRAC takes some seconds until a new user works.
PAUSES_S: Final = (5.0, 10.0)


def let_rest(turn: Turn, login: BmcConfiguration) -> None:
    """Raises NotDue where the BMC has refused logins a moment ago, so that it might lock this one out.

    login: that is about to be stored; who and with which password does not matter.
    """
    wait_s = rest_s(turn.services.logins, login, 1 if login.manually_configured else MOST_REFUSALS)
    if wait_s:
        words = f"its BMC has just refused a login, and may lock out: another one is tried in {duration(wait_s)}"
        raise NotDue(words, again_s=wait_s)


def try_login(turn: Turn, *, renewed: bool) -> str:
    """Read the power with the login that is stored now, so that what follows need not wait for the next sweep.

    The answer is what to add to the words about the login: nothing where it works, else why nobody knows yet. That a
    BMC is away or busy is no fault of the login: the sweep asks it again.

    Args:
        turn: of configure_bmc.
        renewed: the login took the place of one that the BMC refused.

    Raises:
        NewLoginNotTaken: the BMC refuses it, and may have locked us out.
        NewLoginRefused, UserLoginRefused: the BMC refuses the login, for good as far as can be told.
        BmcLoginUnusable: the login does not fit into the protocol that the BMC speaks.
    """
    login = turn.services.mirror.load(turn.machine.id).bmc_configuration
    if login is None:
        return ""
    refusals, pauses_s = 0, iter(() if login.manually_configured else PAUSES_S)
    while True:
        _have_it_tried(turn, login)
        try:
            _read_power(turn, login)
        except BmcAuthenticationFailed as error:
            refusals += error.refusals
            pause_s = next(pauses_s, None)
            if pause_s is None or refusals >= MOST_REFUSALS:
                raise _refused(turn, login, error, refusals, renewed=renewed) from None
            time.sleep(pause_s)
            turn.guard.check_still_ours()
        except BmcLoginUnusable:
            raise
        except BmcError as error:
            return f"; its BMC could not be asked with it yet: {error}"
        else:
            turn.services.renewals.worked(turn.machine.id)
            return ""


def _have_it_tried(turn: Turn, login: BmcConfiguration) -> None:
    """Forget that this very login was refused: not before it is tried, as the sweep would ask meanwhile."""
    if turn.services.logins.login_refused(turn.machine.id, login):
        turn.services.logins.forget_refused(turn.machine.id)


def _read_power(turn: Turn, login: BmcConfiguration) -> None:
    bmc = turn.services.bmcs.open(turn.machine.id, login)
    try:
        turn.services.power_notes.observed({turn.machine.id: bmc.power_state()})
    finally:
        bmc.close()


def _refused(
    turn: Turn, login: BmcConfiguration, error: BmcError, refusals: int, *, renewed: bool
) -> OperationError:
    said = clean(str(error))
    if login.manually_configured:
        return UserLoginRefused(f"the BMC refuses the login that a user gave: {said}")
    times = "once" if refusals == 1 else f"{refusals} times"
    words = f"the BMC refuses the login that its agent has just set, {times}: {said}"
    return NewLoginNotTaken(words) if renewed and not _was_not_taken(turn) else NewLoginRefused(words)


def _was_not_taken(turn: Turn) -> bool:
    """Whether this is the second trial."""
    before = turn.services.attempts.of(turn.machine.id).get(turn.operation.name.value)
    same = before is not None and before.operation_id == id_of(turn.machine.id, turn.operation)
    return same and before is not None and before.error == NewLoginNotTaken.__name__
