"""Try a login right after it was stored: a BMC that refuses it is said at once, with the remedy."""

from __future__ import annotations

import time
from typing import Final

from app.agents.words import clean
from app.machine.model import BmcConfiguration
from workers.bmc.errors import BmcAuthenticationFailed, BmcError, BmcLoginUnusable
from workers.errors import NewLoginRefused, UserLoginRefused
from workers.turn import Turn

# An iDRAC takes some seconds until a new user works. More than three refusals within a minute or two lock the user, or
# our address, out of some BMCs.
PAUSES_S: Final = (5.0, 10.0)
MOST_REFUSALS: Final = 3


def try_login(turn: Turn) -> str:
    """Read the power with the login that is stored now, so that what follows need not wait for the next sweep.

    The answer is what to add to the words about the login: nothing where it works, else why nobody knows yet. That a
    BMC is away or busy is no fault of the login: the sweep asks it again.

    Raises:
        NewLoginRefused, UserLoginRefused: the BMC refuses the login, for good as far as can be told.
        BmcLoginUnusable: the login does not fit into the protocol that the BMC speaks.
    """
    login = turn.services.mirror.load(turn.machine.id).bmc_configuration
    if login is None:
        return ""
    refusals, pauses_s = 0, iter(() if login.manually_configured else PAUSES_S)
    while True:
        try:
            _read_power(turn, login)
        except BmcAuthenticationFailed as error:
            refusals += error.refusals
            pause_s = next(pauses_s, None)
            if pause_s is None or refusals >= MOST_REFUSALS:
                raise _refused(login, error, refusals) from None
            time.sleep(pause_s)
            turn.guard.check_still_ours()
            turn.services.logins.forget_refused(turn.machine.id)  # not before: the sweep would ask meanwhile
        except BmcLoginUnusable:
            raise
        except BmcError as error:
            return f"; its BMC could not be asked with it yet: {error}"
        else:
            return ""


def _read_power(turn: Turn, login: BmcConfiguration) -> None:
    bmc = turn.services.bmcs.open(turn.machine.id, login)
    try:
        turn.services.power_notes.observed({turn.machine.id: bmc.power_state()})
    finally:
        bmc.close()


def _refused(login: BmcConfiguration, error: BmcError, refusals: int) -> UserLoginRefused | NewLoginRefused:
    said = clean(str(error))
    if login.manually_configured:
        return UserLoginRefused(f"the BMC refuses the login that a user gave: {said}")
    times = "once" if refusals == 1 else f"{refusals} times"
    return NewLoginRefused(f"the BMC refuses the login that its agent has just set, {times}: {said}")
