"""Power machines on and off through their BMCs.

What is sent is recorded before, so that neither a crash between the two nor an Omni that goes away can lose a cooldown
or double a reboot; the record is put back where the BMC says that it did not carry the command out.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import redis
import structlog

from app.machine.model import OperationName, PowerOperation, PowerState
from app.omni.errors import OmniError, OmniUnavailable
from app.omni.kinds import Kind
from app.omni.resource import Draft, Resource
from app.omni.resources import to_model
from config.celery import QUEUE_BMC
from workers.bmc.errors import BmcAuthenticationFailed, BmcError
from workers.celery_app import app
from workers.errors import BmcStateUnknown, NotRecorded
from workers.keeper import DecideAnew, LeaseLost
from workers.operation import perform
from workers.power_turn import PowerTurn, power_turn
from workers.turn import NotDue, Procedure, Turn

log = structlog.get_logger()

# BMCs show a power change after seconds; one minute covers the slowest that are known.
REACHED_WITHIN_S = 60.0
_FIRST_LOOK_S, _LONGEST_LOOK_S = 0.05, 3.0
# An Omni that is started again is back within seconds. What it took before it broke off is found then.
RECORDED_WITHIN_S = 30.0
RECORD_PAUSE_S = 1.0

_Written = TypeVar("_Written")


def power_on(turn: Turn) -> str:
    """Arm PXE if the machine is to boot from the network, power on, and wait until it is on."""
    requested = turn.machine.infra_machine.requested_reboot_id if turn.machine.infra_machine else ""
    armed = arm_pxe(turn) if turn.operation.pxe else ""
    turn.guard.check()
    with power_turn(turn) as held:
        put_back = [_record_power(turn, PowerState.ON)]
        if requested:
            try:
                put_back.append(record_reboot(turn, requested, with_time=False))
            except (OmniError, LeaseLost, redis.RedisError):
                _put_back(put_back)
                raise
        send(turn, turn.bmc.power_on, put_back, held)
    wait_for(turn, PowerState.ON)
    return f"powered on{armed}"


def power_off(turn: Turn) -> str:
    """Power off hard, and wait until it is off."""
    send(turn, turn.bmc.power_off, [_record_power(turn, PowerState.OFF)])
    wait_for(turn, PowerState.OFF)
    return "powered off"


def arm_pxe(turn: Turn) -> str:
    """Have the next boot come from the network; the answer says so, to go on with in a sentence.

    A BMC that does not show what it was told is a warning: some cannot.
    """
    turn.guard.check()
    doubt = turn.bmc.arm_pxe(turn.services.settings.ipmi_pxe_boot_mode)
    if not doubt:
        return ", armed to boot from the network once"
    log.warning("pxe_not_read_back", words=doubt)
    return f", armed to boot from the network once (which its BMC does not show: {doubt})"


@dataclass(frozen=True, slots=True)
class Undo:
    """Puts a record of this kind back as it was before."""

    kind: Kind
    act: Callable[[], None]


def send(turn: Turn, command: Callable[[], None], put_back: list[Undo], held: PowerTurn | None = None) -> None:
    """Send one power command; undo the records where it was surely not carried out.

    held: the moment for it, where the machine will draw power.
    Raises NotRecorded where it was not sent and a reboot stands recorded all the same.
    """
    try:
        turn.check_wish()
        if held is not None:
            held.check()
        turn.about_to_act()
    except (NotDue, DecideAnew, LeaseLost, OmniError, redis.RedisError) as reason:
        if Kind.REBOOT_STATUS in _put_back(put_back):  # surely not sent
            words = f"the command was not sent ({type(reason).__name__}), and the record of it could not be taken back"
            raise NotRecorded(words) from None
        raise
    try:
        command()
    except BmcError as error:
        if error.executed is False:
            _put_back(put_back)
        raise


def _put_back(undos: list[Undo]) -> set[Kind]:
    """Undo records, last first; the answer is what could not be, which must not hide why it should have been."""
    stands = set()
    for undo in reversed(undos):
        try:
            patiently(undo.act)
        except (OmniError, redis.RedisError) as error:
            log.warning("record_not_put_back", kind=undo.kind.value, error=type(error).__name__)
            stands.add(undo.kind)
    return stands


def wait_for(turn: Turn, wanted: PowerState) -> None:
    """Read the power back until it is as wanted."""
    deadline_s = time.monotonic() + REACHED_WITHIN_S
    pause_s = _FIRST_LOOK_S
    while True:
        try:
            state = turn.read_power()
        except BmcAuthenticationFailed:
            raise  # it is not asked again
        except BmcError as error:
            log.info("power_not_read_back", error=str(error))
            state = PowerState.UNKNOWN
        if state is wanted:
            return
        if time.monotonic() + pause_s > deadline_s:
            raise BmcStateUnknown(
                f"the BMC took the command but says {state.name} instead of {wanted.name} after {REACHED_WITHIN_S:g} s"
            )
        time.sleep(pause_s)
        pause_s = min(pause_s * 2, _LONGEST_LOOK_S)


def _record_power(turn: Turn, state: PowerState) -> Undo:
    """Record the command that is about to be sent; the answer puts the record back."""
    before = turn.machine.power_operation

    def record(spec: Any) -> None:
        spec.last_power_operation = state
        if state is PowerState.ON:
            spec.last_power_on_timestamp.FromDatetime(turn.machine.now)

    def restore(spec: Any) -> None:
        spec.last_power_operation = before.last_power_operation if before else PowerState.UNKNOWN
        if before and before.last_power_on_timestamp:
            spec.last_power_on_timestamp.FromDatetime(before.last_power_on_timestamp)
        else:
            spec.ClearField("last_power_on_timestamp")

    written = patiently(lambda: turn.store(Kind.POWER_OPERATION, record))
    return Undo(written.kind, lambda: _restore(turn, written, restore))


def record_reboot(turn: Turn, requested_id: str, *, with_time: bool) -> Undo:
    """Record that the requested reboot is done by what is about to be sent; the answer puts the record back."""
    before = turn.machine.reboot_status

    def record(spec: Any) -> None:
        spec.last_reboot_id = requested_id
        if with_time:
            spec.last_reboot_timestamp.FromDatetime(turn.machine.now)

    def restore(spec: Any) -> None:
        spec.last_reboot_id = before.last_reboot_id if before else ""
        if before and before.last_reboot_timestamp:
            spec.last_reboot_timestamp.FromDatetime(before.last_reboot_timestamp)
        else:
            spec.ClearField("last_reboot_timestamp")

    written = patiently(lambda: turn.store(Kind.REBOOT_STATUS, record))
    return Undo(written.kind, lambda: None if _powered_on_since(turn) else _restore(turn, written, restore))


def _powered_on_since(turn: Turn) -> bool:
    """Whether a later operation has powered the machine on, which fulfils a reboot that stands recorded."""
    resource = turn.services.omni.get(Kind.POWER_OPERATION, turn.machine.id)
    record = to_model(resource) if resource else None
    on_at = record.last_power_on_timestamp if isinstance(record, PowerOperation) else None
    return on_at is not None and on_at > turn.machine.now


def patiently(write: Callable[[], _Written]) -> _Written:
    """Write a record, again where Omni breaks off. Raises OmniUnavailable: it may stand there or not."""
    deadline_s = time.monotonic() + RECORDED_WITHIN_S
    while True:
        try:
            return write()
        except OmniUnavailable:
            if time.monotonic() + RECORD_PAUSE_S > deadline_s:
                raise
            time.sleep(RECORD_PAUSE_S)


def _restore(turn: Turn, written: Resource, edit: Callable[[Any], None]) -> None:
    """Undo what we wrote, unless somebody wrote after us: so it needs neither the lease nor Redis."""

    def undo(draft: Draft) -> None:
        if draft.base.order == written.order:
            edit(draft.spec)

    resource = turn.services.omni.update(written.kind, turn.machine.id, undo, known=written)
    try:
        turn.services.mirror.put(resource)
    except redis.RedisError as error:  # the watch will tell it
        log.warning("mirror_not_told", kind=written.kind.value, error=type(error).__name__)


CONFIRMS = (Kind.INFRA_MACHINE, Kind.WIPE_STATUS, Kind.POWER_OPERATION, Kind.REBOOT_STATUS)
ON = Procedure(OperationName.POWER_ON, power_on, confirms=CONFIRMS, reads_power="must")
OFF = Procedure(
    OperationName.POWER_OFF,
    power_off,
    confirms=CONFIRMS,
    reads_power="must",
    waits_for_wipe=True,
)


@app.task(name="power_on", queue=QUEUE_BMC, bind=True)  # type: ignore[untyped-decorator]
def power_on_task(self: Any, machine_id: str, operation_id: str | None = None) -> str:
    """Power the machine on, if that is due."""
    return perform(self, ON, machine_id, operation_id)


@app.task(name="power_off", queue=QUEUE_BMC, bind=True)  # type: ignore[untyped-decorator]
def power_off_task(self: Any, machine_id: str, operation_id: str | None = None) -> str:
    """Power the machine off, if that is due."""
    return perform(self, OFF, machine_id, operation_id)
