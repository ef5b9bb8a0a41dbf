"""From an address and a login to an open session, and what it means where there is none."""

from __future__ import annotations

import time

from app.machine.model import Ipmi
from workers.bmc.errors import BmcAuthenticationFailed, BmcError, BmcUnreachable, BmcUnsupported
from workers.bmc.ipmi.codes import checked_login, login_error, privilege_error
from workers.bmc.ipmi.login import FIRST_ANSWER_S, UNNAMED, LoginRefused, NameUnanswered, NoAnswer, OldProtocol, Silent
from workers.bmc.ipmi.target import PlaceUnknown, Target, shown, targets
from workers.bmc.ipmi.wire import Wire

# BMCs count failures against time before they lock out, and weak ones want a moment between two sessions.
REFUSED_PAUSE_S = 1.0
# Where the user's name gets no answer, that may have been three failed logins, and three within a minute lock out.
UNNAMED_BACKOFF_S = (60.0, 300.0)


def log_in(ipmi: Ipmi, refusals: int, rest_s: float) -> Wire:
    """A session. Raises BmcError.

    Args:
        ipmi: address and login.
        refusals: so many in a row are believed.
        rest_s: the least time between two sessions with one BMC.
    """
    user, password = checked_login(ipmi.username, ipmi.password)
    refused = 0
    while True:
        try:
            return _connect(ipmi, user, password)
        except BmcAuthenticationFailed as error:
            refused += 1
            if refused >= refusals:
                error.refusals = refused
                raise
        except BmcError as error:
            error.refusals += refused
            raise
        time.sleep(max(REFUSED_PAUSE_S, rest_s))


def why(error: Exception) -> str:
    """What the system says, in brackets; "" where nothing came at all."""
    return f" ({type(error).__name__})" if isinstance(error, OSError) else ""


def _connect(ipmi: Ipmi, user: bytes, password: bytes) -> Wire:
    place, unheard = shown(ipmi), ""
    try:
        candidates = targets(ipmi)
    except PlaceUnknown as reason:
        raise BmcUnreachable(f"the BMC at {place} cannot be asked: {reason}", executed=False) from None
    for target in candidates:
        try:
            return _at(target, place, user, password, FIRST_ANSWER_S / len(candidates))
        except (Silent, OSError) as error:  # a name may have one address too many
            unheard = why(error)
    raise BmcUnreachable(f"the BMC at {place} does not answer{unheard}", executed=False)


def _at(target: Target, place: str, user: bytes, password: bytes, first_answer_s: float) -> Wire:
    line = target.line()
    try:
        wire = Wire(line, user, password, first_answer_s=first_answer_s)
    except BaseException as error:
        line.close()
        if isinstance(error, LoginRefused):
            raise login_error(place, error, len(password)) from None
        if isinstance(error, OldProtocol):
            words = f"the BMC at {place} speaks IPMI 1.5 only, and 2.0 is needed"
            raise BmcUnsupported(words, executed=False) from None
        if isinstance(error, NoAnswer) and not isinstance(error, Silent):
            unreachable = BmcUnreachable(f"the BMC at {place} answers, but not {error}", executed=False)
            if isinstance(error, NameUnanswered):
                unreachable.backoff_s, unreachable.refusals = UNNAMED_BACKOFF_S, UNNAMED
            raise unreachable from None
        raise
    if wire.denied:
        wire.end()
        raise privilege_error(place, wire.denied)
    return wire
