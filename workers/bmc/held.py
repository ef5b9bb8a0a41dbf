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
from app.state.bmc_notes import FOUND, NEXT, TROUBLE, BmcFound, found_text
from app.state.logins import REFUSED, WORKED, RefusedLogins
from workers.bmc.calls import Calls
from workers.bmc.client import Bmc
from workers.bmc.errors import BmcAuthenticationFailed, BmcError, BmcInUse
from workers.bmc.known import BmcKind, Known
from workers.bmc.outcome import failure_notes

log = structlog.get_logger()

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
        self._worked = logins.tells_of(WORKED, taken.worked, taken.machine_id, configuration)
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
        words = "the BMC refused this login before and is not asked again"
        error = BmcAuthenticationFailed(words, executed=False).of(self._configuration)
        error.refusals = 0
        taken = self._taken
        told = self._logins.tells_of(REFUSED, taken.refused, taken.machine_id, self._configuration)
        # Where another login has worked since, that one's story stands, and whoever comes with this one is late.
        self._late = taken.worked is not None and not self._worked
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
            if self._ended or asked_s - self._kept_s < _TRUSTED_S:
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
            if commands and time.monotonic() - self._kept_s > LEASE_MS / 1000:
                words = f"Redis does not say whether the BMC is still ours to use ({type(error).__name__})"
                raise BmcInUse(words, executed=False) from None
            return  # nobody can have taken it yet; and a read does no harm
        # Who was not asked, or waited, for longer than the lease lives, as on a host that stood still, may have had
        # somebody else between.
        if not ours or time.monotonic() - (self._kept_s if commands else asked_s) > LEASE_MS / 1000:
            raise BmcInUse(f"somebody else uses the BMC at {self._taken.place} by now", executed=False)
        self._kept_s = asked_s

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
            if not self._worked:
                notes[WORKED], self._worked = self._logins.note_of(WORKED, machine_id, self._configuration), True
        if known != self._given:
            found = self._found(known)
            notes[FOUND] = found_text(found)
            if taken.found is None or replace(taken.found, found_ms=found.found_ms) != found:
                log.info("bmc_found", machine_id=machine_id, kind=found.kind, name=found.name, doubt=found.doubt)
            self._taken = replace(taken, found=found)
        self._succeeded, self._given = True, known
        self._refusals = 0
        if notes or taken.unbelieved:
            try:
                self._leases.note(taken, notes)
                self._forget_refusals()
            except redis.RedisError as error:  # what was done was done, and it is found out again
                log.warning("not_noted", what="bmc", error=type(error).__name__)

    def _forget_refusals(self) -> None:
        if self._taken.unbelieved:
            self._logins.refusals_over(self._taken.place)
            self._taken = replace(self._taken, unbelieved=0)

    def _found(self, known: Known) -> BmcFound:
        """As it is remembered: since it was found out, not since more was learned of it."""
        before = self._taken.found
        found_ms = self._now_ms() if self._given is None or before is None else before.found_ms
        said = clean(known.vendor), clean(known.model), clean(known.firmware), clean(known.doubt)
        return BmcFound(known.kind.value, known.system, *said, found_ms)

    def _give_back(self) -> None:
        notes, machine_id = self._failure(), self._taken.machine_id
        refusal = notes.get(REFUSED)
        try:
            self._leases.give_back(self._taken, notes, pause=self._needs_rest())
            if refusal:
                times = self._refusal.refusals if self._refusal else 0
                self._logins.refusal_told(machine_id, self._taken.place, times)
            elif self._refusals:
                self._logins.refusals_unbelieved(self._taken.place, self._refusals)
        except redis.RedisError as error:
            # The lease ends by itself.
            log.warning("not_noted", what="bmc", error=type(error).__name__)
            if isinstance(refusal, bytes):
                self._logins.refusal_not_told(machine_id, refusal)

    def _needs_rest(self) -> bool:
        """Whether IPMI was spoken, or may have been: some such BMCs freeze after a burst of sessions."""
        if self._session is not None:
            return self._session.known.kind is BmcKind.IPMI
        may_be = self._given is None or self._given.kind is BmcKind.IPMI
        return may_be and self._error is not None and not self._configuration.api_address

    def _failure(self) -> dict[str, str | bytes | int]:
        """The notes of a session in which nothing succeeded, or whose login was refused."""
        error, refused = self._error, self._refusal is not None
        if error is None or isinstance(error, BmcInUse) or (self._succeeded and not refused):
            return {}
        notes = {} if self._late else failure_notes(self._taken, error, self._now_ms(), refused=refused)
        if refused:
            notes[REFUSED] = self._logins.note_of(REFUSED, self._taken.machine_id, self._configuration)
            if self._worked:  # the note of another login is not ours to take away
                notes[WORKED] = ""
        return notes

    def _now_ms(self) -> int:
        """Redis' clock, without asking it again."""
        return self._taken.at_ms + int((time.monotonic() - self._began_s) * 1000)
