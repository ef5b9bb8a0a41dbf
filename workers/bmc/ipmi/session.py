"""BMCs of the IPMI kind."""

from __future__ import annotations

import contextlib
import time

import structlog

from app.machine.model import Ipmi, PowerState
from workers.bmc.client import Bmc, StillOurs, used_alone
from workers.bmc.errors import (
    MOST_REFUSALS,
    BmcAuthenticationFailed,
    BmcError,
    BmcRefused,
    BmcUnreachable,
    BmcUnsupported,
)
from workers.bmc.ipmi import boot
from workers.bmc.ipmi.codes import NOT_IN_THIS_STATE, completion_error
from workers.bmc.ipmi.connect import UNNAMED_BACKOFF_S, log_in, why
from workers.bmc.ipmi.device import described
from workers.bmc.ipmi.login import NoAnswer
from workers.bmc.ipmi.target import shown
from workers.bmc.ipmi.wire import Answer, Wire
from workers.bmc.known import BmcKind, Known
from workers.bmc.quirks import Effect, has

log = structlog.get_logger()

CHASSIS, APP = 0, 6
GET_DEVICE_ID, CHASSIS_STATUS, CHASSIS_CONTROL = 1, 1, 2
OFF, ON, CYCLE = 0, 1, 2


def open_ipmi(
    ipmi: Ipmi,
    known: Known | None,
    *,
    login_worked: bool = False,
    still_ours: StillOurs = used_alone,
    rest_s: float = 0.0,
) -> Bmc:
    """Log in. Raises BmcError.

    Args:
        ipmi: address and login.
        known: what an earlier session found out; None asks the BMC what it is.
        login_worked: this very login has worked with this BMC before.
        still_ours: raises BmcInUse where the BMC may be somebody else's by now; called before each command.
        rest_s: the least time between two sessions with one BMC.
    """
    if known is not None and known.kind is not BmcKind.IPMI:
        known = None  # found out by Redfish, which an option forbids by now
    patient = login_worked or (known is not None and has(Effect.PATIENT_LOGIN, known))
    wire = log_in(ipmi, MOST_REFUSALS if patient else 1, rest_s)
    bmc = IpmiBmc(ipmi, known, wire, still_ours, rest_s)
    if known is None:
        try:
            with contextlib.suppress(BmcRefused, BmcUnsupported):  # it has power to switch all the same
                bmc.describe()
        except BaseException:
            bmc.close()
            raise
    return bmc


class IpmiBmc:
    """A session with one BMC. A question that finds it lost logs in anew; a command never does."""

    def __init__(self, ipmi: Ipmi, known: Known | None, wire: Wire, still_ours: StillOurs, rest_s: float) -> None:
        """Take over a session that is open. still_ours, rest_s: as in `open_ipmi`."""
        self._ipmi = ipmi
        self._place = shown(ipmi)
        self._known = known or Known(BmcKind.IPMI)
        self._wire: Wire | None = wire
        self._still_ours, self._rest_s = still_ours, rest_s
        self._lost_s = 0.0
        self._refusals = 0  # in a row

    @property
    def known(self) -> Known:
        """What the BMC said of itself, in this session or before."""
        return self._known

    def describe(self) -> Known:
        """Get Device ID."""
        self._known = described(self._question("what it is", APP, GET_DEVICE_ID))
        return self._known

    def power_state(self) -> PowerState:
        """Get Chassis Status."""
        data = self._question("its power state", CHASSIS, CHASSIS_STATUS)
        if not data:
            raise BmcRefused(f"the BMC at {self._place} answered its power state with nothing", executed=False)
        return PowerState.ON if data[0] & 1 else PowerState.OFF

    def power_on(self) -> None:
        """Chassis Control, power up."""
        self._switch("power on", ON, PowerState.ON)

    def power_off(self) -> None:
        """Chassis Control, power down."""
        self._switch("power off", OFF, PowerState.OFF)

    def reboot(self) -> None:
        """Chassis Control, power cycle."""
        answer = self._command("power cycle", CHASSIS_CONTROL, bytes([CYCLE]))
        if answer.code == NOT_IN_THIS_STATE:
            words = f"the BMC at {self._place} does not power cycle in the present state: the machine is off, or starts"
            raise BmcUnsupported(words, executed=False)
        self._done("power cycle", answer)

    def arm_pxe(self, mode: str) -> str:
        """Set System Boot Options, network once; the answer is what is read back instead."""
        kept = self._command("boot options", boot.SET_OPTIONS, boot.KEEP)
        if kept.code not in boot.NOT_KEPT:
            self._done("boot options", kept)
        self._done("boot options", self._command("boot options", boot.SET_OPTIONS, boot.once(mode)))
        try:
            return boot.difference(self._question("the boot options", CHASSIS, boot.GET_OPTIONS, boot.WHICH), mode)
        except (BmcRefused, BmcUnsupported) as error:
            return str(error)
        except BmcError as error:
            error.executed = True
            raise

    def close(self) -> None:
        """Close the session, so that its slot is free."""
        wire, self._wire = self._wire, None
        if wire is not None and not wire.end():
            log.debug("bmc_not_closed", address=self._place)

    def _switch(self, what: str, control: int, wanted: PowerState) -> None:
        answer = self._command(what, CHASSIS_CONTROL, bytes([control]))
        if answer.code == NOT_IN_THIS_STATE and self.power_state() is wanted:
            return  # some refuse to power on what is on
        self._done(what, answer)

    def _done(self, what: str, answer: Answer) -> None:
        if answer.code:
            raise completion_error(self._place, what, answer.code, command=True)

    def _command(self, what: str, command: int, data: bytes) -> Answer:
        """Send it once. Raises BmcUnreachable, and BmcInUse with nothing sent."""
        if self._wire is None:
            words = f"the session with the BMC at {self._place} was lost before {what} was sent"
            raise BmcUnreachable(words, executed=False)
        self._still_ours()
        try:
            return self._wire.command(CHASSIS, command, data)
        except (NoAnswer, OSError) as error:
            words = f"the BMC at {self._place} did not answer {what}{why(error)}"
            raise BmcUnreachable(words, executed=None) from None

    def _question(self, what: str, netfn: int, command: int, data: bytes = b"") -> bytes:
        """What it answers. Raises BmcError, of which `executed` says that nothing was commanded."""
        wire = self._wire = self._wire or self._logged_in_anew()
        try:
            answer = wire.ask(netfn, command, data)
        except (NoAnswer, OSError) as error:
            wire.leave()
            self._wire, self._lost_s = None, time.monotonic()
            words = f"the BMC at {self._place} does not answer {what}{why(error)}"
            raise BmcUnreachable(words, executed=False) from None
        if answer.code:
            raise completion_error(self._place, what, answer.code)
        return answer.data

    def _logged_in_anew(self) -> Wire:
        """A second session, once the BMC has had its rest. The login has worked in the one that was lost."""
        time.sleep(max(0.0, self._lost_s + self._rest_s - time.monotonic()))
        self._still_ours()
        if self._refusals >= MOST_REFUSALS:
            words = f"the BMC at {self._place} is not asked for another session, for it may have refused the login"
            unasked = BmcUnreachable(f"{words} {self._refusals} times", executed=False)
            unasked.backoff_s = UNNAMED_BACKOFF_S
            raise unasked
        try:
            wire = log_in(self._ipmi, MOST_REFUSALS - self._refusals, self._rest_s)
        except BmcError as error:
            self._refusals += error.refusals
            if isinstance(error, BmcAuthenticationFailed):
                error.refusals = self._refusals
            raise
        self._refusals = 0
        return wire
