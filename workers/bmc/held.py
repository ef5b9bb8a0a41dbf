"""A session with a BMC as long as the lease on it is ours; what comes of it is noted for the next one.

The lease is extended before each call, and while one lasts: where somebody else has it by then, nothing is sent. A
session in which nothing succeeded is one failure more in a row; a refused login ends it at once.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

import redis
import structlog

from app.agents.words import clean
from app.machine.model import BmcConfiguration, PowerState
from app.state.bmc_lease import LEASE_MS, BmcLeases, Taken
from app.state.bmc_notes import FOUND, NEXT, TROUBLE, found_text
from app.state.logins import REFUSED, WORKED, RefusedLogins
from workers.bmc.calls import Calls
from workers.bmc.client import Bmc
from workers.bmc.errors import BmcAuthenticationFailed, BmcError, BmcInUse
from workers.bmc.known import Known
from workers.bmc.outcome import failure_notes, found_now, needs_rest, refused_again

log = structlog.get_logger()

_LEASE_S = LEASE_MS / 1000
# A read within this time of the last look at the lease does not ask Redis again: it stands for six times as long.
_TRUSTED_S = 5.0

_Answer = TypeVar("_Answer")


class HeldBmc:
    """A session, which the door opens. Every call may raise BmcInUse with nothing sent; close() raises nothing."""

    def __init__(
        self, leases: BmcLeases, logins: RefusedLogins, calls: Calls, taken: Taken, configuration: BmcConfiguration
    ) -> None:
        self._leases, self._logins, self._calls = leases, logins, calls
        self._taken, self._configuration = taken, configuration
        self._began_s = self._kept_s = time.monotonic()
        # Whether this very login has worked with this BMC.
        self.login_worked = logins.tells_of(WORKED, taken.worked, taken.machine_id, configuration)
        self._session: Bmc | None = None
        self._refusal: BmcAuthenticationFailed | None = None
        self._error: Exception | None = None
        self._given: Known | None = None
        self._succeeded = self._ended = self._late = False
        self._refusals = 0
        self._lock = threading.Lock()

    def begin(self, open_session: Callable[[Known | None], Bmc], known: Known | None) -> HeldBmc:
        """Open the session with what is known of the BMC. The lease is given back where that fails. Raises BmcError."""
        self._given = known
        try:
            self._session = self._watched(lambda: open_session(known))
        except BaseException:
            self.close()
            raise
        return self

    def refused_before(self) -> BmcAuthenticationFailed:
        """Give the lease back with nothing sent: the BMC refused this login before. The answer is what to raise."""
        error = refused_again(self._configuration)
        taken = self._taken
        told = self._logins.tells_of(REFUSED, taken.refused, taken.machine_id, self._configuration)
        # Where another login has worked since, that one's story stands, and whoever comes with this one is late.
        self._late = taken.worked is not None and not self.login_worked
        if not told or not (self._late or (taken.trouble is not None and taken.trouble.refused)):
            self._refusal = self._error = error
        self.close()
        return error

    @property
    def known(self) -> Known:
        """What the session found out."""
        return self._open().known

    def describe(self) -> Known:
        """Ask the BMC what it is."""
        return self._ask(lambda bmc: bmc.describe())

    def power_state(self) -> PowerState:
        """Read the power state."""
        return self._ask(lambda bmc: bmc.power_state())

    def power_on(self) -> None:
        """Power on."""
        self._ask(lambda bmc: bmc.power_on(), commands=True)

    def power_off(self) -> None:
        """Power off hard."""
        self._ask(lambda bmc: bmc.power_off(), commands=True)

    def reboot(self) -> None:
        """Power cycle or reset."""
        self._ask(lambda bmc: bmc.reboot(), commands=True)

    def arm_pxe(self, mode: str) -> str:
        """Boot from the network once; the answer is what the BMC shows instead, or ""."""
        return self._ask(lambda bmc: bmc.arm_pxe(mode), commands=True)

    def close(self) -> None:
        """End the session, note what came of it, and give the lease back."""
        with self._lock:  # a lease that was extended after the end would be nobody's
            if self._ended:
                return
            self._ended = True
        try:
            if self._session is not None:
                self._session.close()
        finally:
            self._give_back()

    def stay(self) -> None:
        """Have the lease live on while a call lasts."""
        with self._lock:
            asked_s = time.monotonic()
            # One that has ended is not made good here: the next command must see that somebody may have been between.
            if self._ended or not _TRUSTED_S <= asked_s - self._kept_s <= _LEASE_S:
                return
            try:
                if self._leases.extend(self._taken):
                    self._kept_s = asked_s
            except redis.RedisError as error:
                log.warning("lease_not_renewed", machine_id=self._taken.machine_id, error=type(error).__name__)

    def still_ours(self) -> None:
        """To be called right before a command is sent, in the midst of a call. Raises BmcInUse: nothing may be sent."""
        if self._ended:
            raise BmcInUse("the session with the BMC has ended", executed=False)
        self._keep(commands=True)

    def _open(self) -> Bmc:
        if self._refusal is not None:
            raise BmcAuthenticationFailed(str(self._refusal), executed=False).of(self._configuration)
        if self._session is None or self._ended:
            raise BmcInUse("the session with the BMC has ended", executed=False)
        return self._session

    def _ask(self, call: Callable[[Bmc], _Answer], *, commands: bool = False) -> _Answer:
        session = self._open()
        self._keep(commands=commands)
        answer = self._watched(lambda: call(session))
        self._succeeds(session.known)
        return answer

    def _keep(self, *, commands: bool) -> None:
        """Have the lease live on. Raises BmcInUse where it is, or may be, somebody else's."""
        asked_s = time.monotonic()
        if not commands and asked_s - self._kept_s < _TRUSTED_S:
            return
        try:
            ours = self._leases.extend(self._taken)
        except redis.RedisError as error:
            if commands and self._lapsed():
                words = f"Redis does not say whether the BMC is still ours to use ({type(error).__name__})"
                raise BmcInUse(words, executed=False) from None
            return  # nobody can have taken it yet; and a read does no harm
        place = self._taken.place
        if not ours:
            raise BmcInUse(f"somebody else uses the BMC at {place} by now", executed=False)
        # Who was not asked, or waited, for so long, as on a host that stood still, may have had somebody else between.
        if time.monotonic() - (self._kept_s if commands else asked_s) > _LEASE_S:
            raise BmcInUse(f"the BMC at {place} was not used for longer than its lease lives", executed=False)
        self._kept_s = asked_s

    def _lapsed(self) -> bool:
        """Whether somebody else may have had the BMC, and given it back, since we last kept it."""
        return time.monotonic() - self._kept_s > _LEASE_S

    def _watched(self, call: Callable[[], _Answer]) -> _Answer:
        """Call the BMC, and keep in mind what goes wrong."""
        try:
            with self._calls.during(self):
                return call()
        except BmcAuthenticationFailed as error:
            self._refusal = self._error = error.of(self._configuration)
            log.warning("bmc_login_refused", machine_id=self._taken.machine_id, error=clean(error.words()))
            self.close()
            raise
        except BmcError as error:
            self._error, self._refusals = error, self._refusals + error.refusals
            raise
        except Exception as error:
            self._error = error
            raise

    def _succeeds(self, known: Known) -> None:
        """Note what is new, at the first success and whenever more is known."""
        notes: dict[str, str | bytes | int] = {}
        machine_id, taken = self._taken.machine_id, self._taken
        if not self._succeeded:
            if taken.trouble is not None:
                notes |= {TROUBLE: "", NEXT: ""}
            if not self.login_worked:
                worked, self.login_worked = self._logins.note_of(WORKED, machine_id, self._configuration), True
                notes[WORKED] = worked
                self._taken = replace(self._taken, worked=worked)
        if known != self._given:
            found = found_now(taken, self._given, known, self._now_ms())
            notes[FOUND] = found_text(found)
            self._taken = replace(self._taken, found=found)
        self._succeeded, self._given, self._refusals = True, known, 0
        if (notes or taken.unbelieved) and not self._lapsed():
            try:
                self._leases.note(taken, notes)
                if taken.unbelieved:
                    self._logins.refusals_over(taken.place)
                    self._taken = replace(self._taken, unbelieved=0)
            except redis.RedisError as error:  # what was done was done, and it is found out again
                log.warning("not_noted", what="bmc", error=type(error).__name__)

    def _give_back(self) -> None:
        notes, machine_id = self._failure(), self._taken.machine_id
        refusal = notes.get(REFUSED)
        try:
            rests = needs_rest(self._session, self._given, self._error, self._configuration)
            self._leases.give_back(self._taken, notes, pause=rests)
            if self._refusal is not None:
                self._logins.refusal_told(machine_id, self._taken.place, self._refusal.refusals)
            elif self._refusals:
                self._logins.refusals_unbelieved(self._taken.place, self._refusals)
        except redis.RedisError as error:
            # The lease ends by itself.
            log.warning("not_noted", what="bmc", error=type(error).__name__)
            if isinstance(refusal, bytes):
                self._logins.refusal_not_told(machine_id, refusal, self._taken.worked)

    def _failure(self) -> dict[str, str | bytes | int]:
        """The notes of a session in which nothing succeeded, or whose login was refused."""
        error, refused = self._error, self._refusal is not None
        if error is None or isinstance(error, BmcInUse) or (self._succeeded and not refused):
            return {}
        newer = self._late or self._lapsed()  # what the next user noted is, or may be
        notes = {} if newer else failure_notes(self._taken, error, self._now_ms(), refused=refused)
        if refused:
            notes[REFUSED] = self._logins.note_of(REFUSED, self._taken.machine_id, self._configuration)
            if self.login_worked and not newer:  # the note of another login is not ours to take away
                notes[WORKED] = ""
        return notes

    def _now_ms(self) -> int:
        """Redis' clock, without asking it again."""
        return self._taken.at_ms + int((time.monotonic() - self._began_s) * 1000)
