"""The commands that the BMC knows, and what each is answered with. IPMI v2.0 §20, §22, §28."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from lab.bmc.chassis import Button, Chassis
from lab.bmc.dice import Dice, Fault
from lab.bmc.ipmi.boot_options import BOOT_FLAGS, PARAMETERS, VERSION, BootOptions, orders_network
from lab.bmc.ipmi.keys import SUITES
from lab.bmc.ipmi.messages import Completion, NetFn, Request
from lab.bmc.ipmi.sessions import Level, Session, Sessions
from lab.bmc.ledger import Ledger

# Table 20-2: device 32, revision 1, firmware 1.00, IPMI 2.0, a chassis device, of no maker.
DEVICE_ID: Final = bytes([0x20, 0x01, 0x01, 0x00, 0x02, 0x80, 0, 0, 0, 0, 0])
CHANNEL: Final = 1
# Table 22-15: only IPMI 2.0, and users with names.
AUTHENTICATION: Final = bytes([CHANNEL, 0x80, 0x04, 0x02, 0, 0, 0, 0])
CIPHER_RECORDS: Final = b"".join(suite.record() for suite in SUITES)

STATUS: Final = (NetFn.CHASSIS, 0x01)
CONTROL: Final = (NetFn.CHASSIS, 0x02)
SET_BOOT: Final = (NetFn.CHASSIS, 0x08)
GET_BOOT: Final = (NetFn.CHASSIS, 0x09)
GET_DEVICE_ID: Final = (NetFn.APP, 0x01)
GET_AUTHENTICATION: Final = (NetFn.APP, 0x38)
SET_LEVEL: Final = (NetFn.APP, 0x3B)
CLOSE_SESSION: Final = (NetFn.APP, 0x3C)
GET_CIPHERS: Final = (NetFn.APP, 0x54)

GRACEFUL: Final = 5
CONTROLS: Final[Mapping[int, Button]] = {
    0: Button.POWER_OFF,
    1: Button.POWER_ON,
    2: Button.REBOOT,
    3: Button.REBOOT,
    GRACEFUL: Button.POWER_OFF,
}
"""Chassis Control: 2 is a power cycle, 3 a reset, 5 asks the operating system to shut down."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command is answered with. lost: the command was done, and the answer is never sent."""

    completion: Completion = Completion.DONE
    data: bytes = b""
    lost: bool = False


@dataclass(frozen=True, slots=True)
class _Known:
    """A command.

    lengths: how many bytes of data it may come with, the least and the most.
    act_outside: what it does outside of a session; None where it needs one.
    """

    lengths: tuple[int, int]
    level: Level
    act: Callable[[Session, bytes], Answer]
    act_outside: Callable[[bytes], Answer] | None = None


class Commands:
    """The commands of one BMC."""

    def __init__(self, chassis: Chassis, dice: Dice, ledger: Ledger, sessions: Sessions) -> None:
        self._chassis = chassis
        self._dice = dice
        self._ledger = ledger
        self._sessions = sessions
        self._boot = BootOptions(chassis)
        self._known: Mapping[tuple[int, int], _Known] = {
            STATUS: _Known((0, 0), Level.USER, self._status),
            CONTROL: _Known((1, 1), Level.OPERATOR, self._control),
            SET_BOOT: _Known((1, 64), Level.OPERATOR, self._set_boot),
            GET_BOOT: _Known((3, 3), Level.OPERATOR, self._get_boot),
            GET_DEVICE_ID: _Known((0, 0), Level.USER, lambda *_: Answer(data=DEVICE_ID)),
            GET_AUTHENTICATION: _Known((2, 2), Level.USER, lambda _, data: _authentication(data), _authentication),
            SET_LEVEL: _Known((1, 1), Level.USER, _set_level),
            CLOSE_SESSION: _Known((4, 5), Level.USER, self._close),
            GET_CIPHERS: _Known((3, 3), Level.USER, lambda _, data: _ciphers(data), _ciphers),
        }

    def outside(self, request: Request) -> Answer:
        """Answer what comes outside of a session, where only two questions may be asked: IPMI 1.5 has no login here."""
        known = self._known.get(request.name)
        if known is None:
            return Answer(Completion.COMMAND_UNKNOWN)
        if known.act_outside is None:
            return Answer(Completion.PRIVILEGE_LACKING)
        if len(request.data) != known.lengths[1]:
            return Answer(Completion.LENGTH_WRONG)
        return known.act_outside(request.data)

    def came_in(self, session: Session, request: Request) -> Button | None:
        """Note a request; with the button that it would press. A question that is sent again does no harm."""
        button = _button(request)
        if request == session.last:
            self._ledger.called("resent")
            if button:
                self._ledger.called(f"resent {button.value}")
        session.last = request
        if button:
            self._ledger.called(button.value)
            if request.name == CONTROL and request.data[0] == GRACEFUL:
                self._ledger.asked_gracefully()
        elif request.name == STATUS:
            self._ledger.called("status")
        return button

    def carry_out(self, session: Session, request: Request) -> Answer:
        """Do what a request says, once more where it comes once more, as BMCs do."""
        known = self._known.get(request.name)
        if known is None:
            return Answer(Completion.COMMAND_UNKNOWN)
        if not known.lengths[0] <= len(request.data) <= known.lengths[1]:
            return Answer(Completion.LENGTH_WRONG)
        if session.level < known.level:
            return Answer(Completion.PRIVILEGE_LACKING)
        return known.act(session, request.data)

    def _status(self, _: Session, __: bytes) -> Answer:
        powered_on = self._chassis.powered_on is not self._dice.falls(Fault.WRONG_STATE)
        return Answer(data=bytes([powered_on, 0, 0]))

    def _control(self, _: Session, data: bytes) -> Answer:
        button = CONTROLS.get(data[0] & 0x0F)
        if button is None:
            return Answer(Completion.DATA_WRONG)
        if not self._chassis.powered_on and button is Button.REBOOT:
            return Answer(Completion.STATE_WRONG)
        return self._told(lambda: self._power(button))

    def _power(self, button: Button) -> None:
        boots = button is Button.REBOOT or (button is Button.POWER_ON and not self._chassis.powered_on)
        if boots:
            self._boot.boots()
        self._press(button)
        if boots:
            self._boot.booted()

    def _set_boot(self, _: Session, data: bytes) -> Answer:
        parameter, value = data[0] & 0x7F, data[1:]
        if parameter not in PARAMETERS:
            return Answer(Completion.PARAMETER_UNSUPPORTED)
        if len(value) != PARAMETERS[parameter]:
            return Answer(Completion.LENGTH_WRONG)
        if parameter != BOOT_FLAGS:
            self._boot.write(parameter, value, self._press)
            return Answer()
        return self._told(lambda: self._boot.write(parameter, value, self._press))

    def _get_boot(self, _: Session, data: bytes) -> Answer:
        parameter = data[0] & 0x7F
        if parameter not in PARAMETERS:
            return Answer(Completion.PARAMETER_UNSUPPORTED)
        return Answer(data=bytes([VERSION, parameter]) + self._boot.read(parameter))

    def _close(self, session: Session, data: bytes) -> Answer:
        named = self._sessions.find(int.from_bytes(data[:4], "little"))
        if named is None:
            return Answer(Completion.SESSION_UNKNOWN)
        if named is not session and session.level < Level.ADMINISTRATOR:
            return Answer(Completion.PRIVILEGE_LACKING)
        self._sessions.close(named)
        return Answer()

    def _told(self, act: Callable[[], None]) -> Answer:
        """Do it, unless the dice will not have it."""
        if self._dice.falls(Fault.BUSY):
            return Answer(Completion.BUSY)
        if self._dice.falls(Fault.EXPLICIT):
            return Answer(Completion.UNSPECIFIED)
        if self._dice.falls(Fault.SILENT):
            return Answer()
        act()
        return Answer(lost=self._dice.falls(Fault.DROP_AFTER))

    def _press(self, button: Button) -> None:
        self._chassis.commanded(button)
        self._ledger.pressed(button)


def _button(request: Request) -> Button | None:
    """The button that a request presses if all goes well."""
    if not request.data:
        return None
    if request.name == CONTROL:
        return CONTROLS.get(request.data[0] & 0x0F)
    if request.name == SET_BOOT and request.data[0] & 0x7F == BOOT_FLAGS and orders_network(request.data[1:]):
        return Button.PXE_BOOT
    return None


def _authentication(data: bytes) -> Answer:
    """Get Channel Authentication Capabilities: 0Eh is the channel that the request came by."""
    if data[0] & 0x0F not in (CHANNEL, 0x0E) or not Level.USER - 1 <= data[1] & 0x0F <= Level.ADMINISTRATOR:
        return Answer(Completion.DATA_WRONG)
    if not data[0] & 0x80:  # who does not ask for IPMI 2.0 is told what IPMI 1.5 has: nothing
        return Answer(data=bytes([CHANNEL, 0, 0x04, 0, 0, 0, 0, 0]))
    return Answer(data=AUTHENTICATION)


def _ciphers(data: bytes) -> Answer:
    """Get Channel Cipher Suites: 16 bytes of the list at a time."""
    if data[0] & 0x0F not in (CHANNEL, 0x0E):
        return Answer(Completion.DATA_WRONG)
    start = (data[2] & 0x3F) * 16
    return Answer(data=bytes([CHANNEL]) + CIPHER_RECORDS[start : start + 16])


def _set_level(session: Session, data: bytes) -> Answer:
    """Set Session Privilege Level; 0 only asks."""
    wanted = data[0] & 0x0F or session.level
    if wanted > Level.ADMINISTRATOR or wanted < Level.USER:
        return Answer(Completion.DATA_WRONG)
    if wanted > session.most:
        return Answer(Completion.LEVEL_UNAVAILABLE)
    session.level = wanted
    return Answer(data=bytes([wanted]))
