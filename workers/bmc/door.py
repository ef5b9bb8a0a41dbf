"""The one door to the BMCs: whoever wants to talk to one comes through here, and is alone with it.

What it sees to: one user per BMC at a time in all processes on all hosts; the pause between two IPMI sessions; that a
login which was refused is not tried again; that what an earlier session found out is used for as long as it is good.
"""

from __future__ import annotations

import time
import zlib

from app.machine.model import BmcConfiguration
from app.state.bmc_lease import BmcLeases, InUse, Taken
from app.state.bmc_notes import FOUND
from app.state.logins import RefusedLogins
from config.settings import Settings
from workers.bmc.calls import Calls
from workers.bmc.choice import open_session
from workers.bmc.client import Bmc
from workers.bmc.errors import BmcInUse
from workers.bmc.held import HeldBmc
from workers.bmc.known import BmcKind, Known
from workers.bmc.place import place_of

# A dead user's lease ends within 30 s, and a sweep's session takes seconds even with a BMC that stalls.
TURN_WITHIN_S = 45.0
# A person waits for it, and few do so at a time.
_FIRST_LOOK_S, _LONGEST_LOOK_S = 0.05, 0.1
# A BMC that was replaced, or has new firmware, is known as such an hour later. Somewhat sooner with some, so that a
# thousand that were found at the same time are not asked anew at the same time.
KNOWN_FOR_MS = 3_600_000
_SOONER_MS = 600_000
# Then what is known may be what is wrong.
ERRORS_IN_A_ROW = 3


class BmcDoor:
    """Opens sessions with BMCs."""

    def __init__(self, settings: Settings, leases: BmcLeases, logins: RefusedLogins) -> None:
        self._settings, self._leases, self._logins, self._calls = settings, leases, logins, Calls()

    def open(self, machine_id: str, configuration: BmcConfiguration, *, waits: bool = True) -> Bmc:
        """A session with the machine's BMC, to be closed.

        Args:
            machine_id: the machine, with which the BMC's notes stand.
            configuration: address and login.
            waits: for its turn where somebody else uses the BMC, for TURN_WITHIN_S and the pause at most; else that is
                BmcInUse.

        Raises:
            BmcError: nothing was done.
            redis.RedisError: nothing was sent.
        """
        taken = self._take(machine_id, place_of(configuration), waits=waits)
        held = HeldBmc(self._leases, self._logins, self._calls, taken, configuration)
        if self._logins.refused(machine_id, taken.refused, configuration, taken.worked):
            raise held.refused_before()
        # One more is believed where the last session was lost amid refusals: BMCs count them across sessions.
        patient = held.login_worked and taken.unbelieved == 0
        # What is known ends with the hour, or with errors; that another machine's System is not this one's does not.
        matched = held.login_worked and taken.found is not None and taken.found.matched

        def begin(known: Known | None) -> Bmc:
            return open_session(
                machine_id,
                configuration,
                self._settings,
                known,
                login_worked=patient,
                matched=matched,
                still_ours=held.still_ours,
            )

        return held.begin(begin, _still_good(taken) if held.login_worked else None)

    def forget(self, machine_id: str) -> None:
        """Ask the BMC anew what it is, and try a login again that it refused: a person wants to know."""
        self._logins.forget_refused(machine_id)
        self._leases.forget(machine_id, FOUND)

    def _take(self, machine_id: str, place: str, *, waits: bool) -> Taken:
        within_s, pause_s = TURN_WITHIN_S + self._settings.ipmi_min_interval_s, _FIRST_LOOK_S
        deadline_s = time.monotonic() + within_s
        while True:
            answer = self._leases.take(machine_id, place)
            if isinstance(answer, Taken):
                return answer
            look_s = answer.left_ms / 1000 if answer.paused else pause_s
            if not waits or time.monotonic() + look_s > deadline_s:
                raise BmcInUse(_why(answer, place), executed=False)
            time.sleep(look_s)
            pause_s = min(pause_s * 2, _LONGEST_LOOK_S)


def _why(answer: InUse, place: str) -> str:
    if answer.settling:
        return f"the BMC at {place} may be in use: Redis was emptied, or its clock was put forward or back"
    if answer.paused:
        return f"the BMC at {place} is let rest between two sessions (--ipmi-min-interval)"
    return f"the BMC at {place} has one user at a time, and is in use by another operation or the power sweep"


def _still_good(taken: Taken) -> Known | None:
    """What is known of the BMC, if that is to be relied on."""
    found = taken.found
    if found is None or (taken.trouble is not None and taken.trouble.count >= ERRORS_IN_A_ROW):
        return None
    sooner_ms = zlib.crc32(taken.machine_id.encode()) % _SOONER_MS
    if not 0 <= taken.at_ms - found.found_ms < KNOWN_FOR_MS - sooner_ms:
        return None
    try:
        kind = BmcKind(found.kind)
    except ValueError:  # of another version
        return None
    return Known(kind, found.system, found.vendor, found.model, found.firmware, found.doubt, found.matched)
