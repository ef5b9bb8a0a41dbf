"""A session with a BMC that speaks Redfish.

It opens no session of Redfish's own: BMCs have few of them, and those that are not closed stay for half an hour. The
login goes with each request; what is kept is the connection, from one request to the next.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

from app.agents.words import clean
from app.machine.model import Ipmi, PowerState
from config.settings import Settings
from workers.bmc.client import Bmc, StillOurs, used_alone
from workers.bmc.errors import (
    BmcAuthenticationFailed,
    BmcError,
    BmcLoginUnusable,
    BmcNotPermitted,
    BmcRefused,
    BmcUnreachable,
    BmcUnsupported,
)
from workers.bmc.exchange import AddressUnusable, host_and_port
from workers.bmc.known import BmcKind, Known
from workers.bmc.redfish.arming import arm_pxe_once
from workers.bmc.redfish.finding import describe_system, find_system, gone_from
from workers.bmc.redfish.line import Line
from workers.bmc.redfish.service import Service, origin_of
from workers.bmc.redfish.system import System, is_another, read_system, reset_types_in
from workers.bmc.redfish.tasks import await_task
from workers.bmc.redfish.tls import shared_context

# Never a graceful one, which an operating system may refuse; nor the button, which means another thing when held.
ON: Final = ("On", "ForceOn")
OFF: Final = ("ForceOff",)
RESTART: Final = ("ForceRestart", "PowerCycle")
# BMCs show a power change after seconds; one minute covers the slowest that are known.
OFF_WITHIN_S = 60.0
OFF_PAUSE_S = 1.0


class RedfishBmc:
    """A BMC by Redfish, of which some things may be known from before."""

    def __init__(
        self, machine_id: str, service: Service, known: Known | None, *, set_mode: bool, matched: bool = False
    ) -> None:
        self._machine_id = machine_id
        self._service = service
        self._set_mode = set_mode
        self._matched = matched or (known is not None and known.matched)
        if known is not None and known.kind is BmcKind.REDFISH:
            service.known = known

    @property
    def known(self) -> Known:
        """The System's path, and what the BMC says of itself."""
        return self._service.known

    def describe(self) -> Known:
        """Ask for all of it anew, and for the version of the firmware."""
        system = self._find()
        self._service.known = describe_system(self._service, system, self.known)
        return self.known

    def power_state(self) -> PowerState:
        """One GET, where the System's path is known."""
        return self._system().power

    def power_on(self) -> None:
        """Reset On; a refusal of a machine that is on is none."""
        self._reach(PowerState.ON, ON)

    def power_off(self) -> None:
        """Reset ForceOff; a refusal of a machine that is off is none."""
        self._reach(PowerState.OFF, OFF)

    def reboot(self) -> None:
        """Reset ForceRestart, else PowerCycle, else ForceOff and, once it is off, On."""
        with _nothing_done_yet():
            system = self._system()
            allowed = self._allowed(system)
        for reset_type in _among(RESTART, allowed):
            try:
                self._reset(system, reset_type)
            except BmcUnsupported as error:  # surely not done: what a BMC does not list it may not have
                if allowed is not None or isinstance(error, BmcNotPermitted):
                    raise
            else:
                return
        self._off_and_on(system, allowed)

    def arm_pxe(self, mode: str) -> str:
        """Order one boot from the network, and read it back."""
        with _nothing_done_yet():
            system = self._system()
        return arm_pxe_once(self._service, system, mode if self._set_mode else None)

    def close(self) -> None:
        """Close the connection."""
        self._service.close()

    def _system(self) -> System:
        """The System, read now; looked up anew where the remembered one is gone, or another machine's by now."""
        if self.known.system and (document := self._service.find(self.known.system)) is not None:
            system = read_system(replace(document, path=self.known.system))
            # Blades are swapped, and addresses given to other boxes. One that was never surely the machine's stays.
            if self.known.doubt or not is_another(self._machine_id, system.uuid):
                return system
        return self._find()

    def _find(self) -> System:
        """The System, looked up anew; where one had the machine's UUID, none of another machine is taken instead."""
        before = self.known
        system, known = find_system(self._machine_id, self._service)
        if self._matched and known.doubt:
            self._service.known = before
            raise gone_from(self._machine_id)
        self._matched = self._matched or known.matched
        self._service.known = replace(known, matched=self._matched)
        return system

    def _reach(self, wanted: PowerState, reset_types: Sequence[str]) -> None:
        with _nothing_done_yet():
            system = self._system()
            reset_type = self._one_of(system, reset_types, self._allowed(system))
        try:
            self._reset(system, reset_type)
        except (BmcRefused, BmcUnsupported):
            if not self._is(wanted):
                raise

    def _reset(self, system: System, reset_type: str) -> None:
        """Send one reset, once."""
        if not system.reset_path:
            raise self._unsupported(system, "offers no reset")
        await_task(self._service, self._service.post(system.reset_path, {"ResetType": reset_type}))

    def _off_and_on(self, system: System, allowed: frozenset[str] | None) -> None:
        off, on = self._one_of(system, OFF, allowed), self._one_of(system, ON, allowed)
        if system.power is PowerState.OFF:
            raise self._service.refused("shows the machine as off, and can only power it on, which is no reboot")
        self._reset(system, off)
        deadline_s = time.monotonic() + OFF_WITHIN_S
        while not self._is(PowerState.OFF):
            if time.monotonic() > deadline_s:
                words = f"took {off} but is not off after {OFF_WITHIN_S:g} s, so {on} was not sent"
                raise self._service.refused(words, executed=None)
            time.sleep(OFF_PAUSE_S)
        try:
            self._reset(system, on)
        except BmcError as error:
            error.executed = None  # half of it was
            raise

    def _is(self, wanted: PowerState) -> bool:
        """Whether the machine has this power now, as far as its BMC says. Raises BmcAuthenticationFailed."""
        try:
            return self._system().power is wanted
        except BmcAuthenticationFailed as error:
            error.executed = None
            raise
        except BmcError:
            return False

    def _allowed(self, system: System) -> frozenset[str] | None:
        """The reset types that it takes; None where it does not say. Raises BmcError where it cannot be asked."""
        if system.reset_types is not None or not system.reset_info_path:
            return system.reset_types
        info = self._service.find(system.reset_info_path)
        return None if info is None else reset_types_in(info)

    def _one_of(self, system: System, reset_types: Sequence[str], allowed: frozenset[str] | None) -> str:
        for reset_type in _among(reset_types, allowed):
            return reset_type
        words = f"offers none of the resets {', '.join(reset_types)}, but {', '.join(sorted(allowed or ()))}"
        raise self._unsupported(system, words)

    def _unsupported(self, system: System, words: str) -> BmcUnsupported:
        return BmcUnsupported(f"the System {clean(system.path)} of the BMC {clean(words)}", executed=False)


def open_redfish(
    machine_id: str,
    ipmi: Ipmi,
    settings: Settings,
    known: Known | None,
    *,
    login_worked: bool,
    matched: bool = False,
    still_ours: StillOurs = used_alone,
) -> Bmc:
    """A session with a BMC; nothing is sent yet. Raises BmcUnreachable, BmcLoginUnusable.

    Args:
        machine_id: the machine's UUID, by which its System is found.
        ipmi: address and login.
        settings: how Redfish is spoken.
        known: what an earlier session found out.
        login_worked: this very login has worked with this BMC before.
        matched: a System of this BMC had the machine's UUID before, whatever else is known.
        still_ours: is called right before each POST and PATCH.
    """
    if ":" in ipmi.username:
        raise BmcLoginUnusable("the user of the BMC holds a colon, which Redfish cannot send", executed=False)
    origin, line = line_to(ipmi, settings, still_ours=still_ours)
    service = Service(line, origin, ipmi.username, ipmi.password, login_worked=login_worked)
    set_mode = settings.redfish_set_boot_source_override_mode
    return RedfishBmc(machine_id, service, known, set_mode=set_mode, matched=matched)


def line_to(
    ipmi: Ipmi, settings: Settings, within_s: float | None = None, still_ours: StillOurs = used_alone
) -> tuple[str, Line]:
    """The origin of a BMC's Redfish, and a line to it. Raises BmcUnreachable.

    Args:
        ipmi: with its address.
        settings: how Redfish is spoken.
        within_s: how long all that goes over the line may take; None sets a limit for each request alone.
        still_ours: is called right before each POST and PATCH.
    """
    address = ipmi.address if ":" not in ipmi.address else f"[{ipmi.address.strip('[]')}]"
    try:
        host, port = host_and_port(f"{address}:{settings.redfish_port}")
    except AddressUnusable:
        raise BmcUnreachable(f"the BMC's address {clean(address)!r} is no address", executed=False) from None
    tls = shared_context(verify=not settings.redfish_insecure_skip_tls_verify) if settings.redfish_use_https else None
    return origin_of(host, port, tls=settings.redfish_use_https), Line(host, port, tls, within_s, still_ours)


@contextlib.contextmanager
def _nothing_done_yet() -> Iterator[None]:
    """What fails here fails before the command was sent."""
    try:
        yield
    except BmcError as error:
        error.executed = False
        raise


def _among(wanted: Sequence[str], allowed: frozenset[str] | None) -> list[str]:
    return [reset_type for reset_type in wanted if allowed is None or reset_type in allowed]
