"""Remove a machine: back into agent mode once, then away with all that we recorded of it.

Our finalizers on the InfraMachine go last: until then Omni keeps it, and whatever was left undone is done again.
"""

from __future__ import annotations

from typing import Any

import structlog

from app.machine.decide import operation_id as id_of
from app.machine.model import OperationName, PowerState
from app.omni.errors import NotFound
from app.omni.kinds import Kind
from app.state.boots import Boots
from config.celery import QUEUE_BMC
from workers.bmc.errors import BmcBusy, BmcError
from workers.celery_app import app
from workers.errors import BmcStateUnknown
from workers.operation import perform
from workers.power import arm_pxe, patiently, wait_for
from workers.power_turn import power_turn
from workers.turn import Procedure, Turn

log = structlog.get_logger()

# The BMC's login goes last: it is what a second try would need. Before it goes the record that is marked when the
# machine is rebooted, so that a second try sees the mark whatever the first one has removed.
RECORDS = (
    Kind.POWER_OPERATION,
    Kind.WIPE_STATUS,
    Kind.MACHINE_STATUS,
    Kind.INFRA_MACHINE_STATUS,
    Kind.REBOOT_STATUS,
    Kind.BMC_CONFIGURATION,
)


def teardown(turn: Turn) -> str:
    """Reboot it into agent mode (best effort), destroy our records, let go of the InfraMachine."""
    rebooted = turn.operation.pxe and _reboot_into_agent(turn)
    for kind in RECORDS:
        _remove(turn, kind)
    turn.services.attempts.clear(turn.machine.id)
    Boots(turn.services.redis).forget(turn.machine.id)
    _let_go(turn)
    return "removed" + (", rebooted into agent mode" if rebooted else "")


def _remove(turn: Turn, kind: Kind) -> None:
    turn.guard.check()
    _destroy(turn, kind)


def _destroy(turn: Turn, kind: Kind) -> None:
    turn.services.omni.remove(kind, turn.machine.id)
    stale = turn.services.mirror.resource(kind, turn.machine.id)
    if stale is not None:
        turn.services.mirror.remove(stale)


def _reboot_into_agent(turn: Turn) -> bool:
    """Whether it was done. Raises BmcBusy where it surely was not, and is tried again before anything is removed."""
    try:
        arm_pxe(turn)
        with power_turn(turn):
            _reset_once(turn)
        wait_for(turn, PowerState.ON)
    except (BmcError, BmcStateUnknown) as error:
        if isinstance(error, BmcBusy) and error.executed is False and not _is_last_try(turn):
            raise
        log.warning("teardown_reboot_failed", error=error.words())
        return False
    return True


def _reset_once(turn: Turn) -> None:
    # A record that is going away says that this was done, should the rest be interrupted.
    turn.services.omni.update(Kind.REBOOT_STATUS, turn.machine.id, lambda _: None, create=True)
    turn.services.omni.teardown(Kind.REBOOT_STATUS, turn.machine.id)
    turn.about_to_act()  # late or not: with the mark set, nobody would come back to reset it
    try:
        turn.bmc.reboot()
    except BmcBusy as error:
        if error.executed is False:
            _take_mark_off(turn)
            turn.guard.check()
        raise


def _take_mark_off(turn: Turn) -> None:
    """It was not done, and a record that goes away cannot come back: whatever became of our lease meanwhile, it goes.

    Only a later operation may have made the mark its own.
    """
    if turn.services.leases.fence(turn.machine.id) <= turn.guard.lease.fence:
        patiently(lambda: _destroy(turn, Kind.REBOOT_STATUS))


def _is_last_try(turn: Turn) -> bool:
    """A BMC that stays busy does not keep Omni from letting the machine go."""
    before = turn.services.attempts.of(turn.machine.id).get(turn.operation.name.value)
    tried = before.count if before and before.operation_id == id_of(turn.machine.id, turn.operation) else 0
    return tried + 1 >= turn.services.settings.operation_attempts


def _let_go(turn: Turn) -> None:
    turn.guard.check()
    known = turn.services.mirror.resource(Kind.INFRA_MACHINE, turn.machine.id)
    try:
        resource = turn.services.omni.remove_finalizers(Kind.INFRA_MACHINE, turn.machine.id, known=known)
    except NotFound:
        return
    if resource is not None:
        turn.services.mirror.put(resource)


TEARDOWN = Procedure(
    OperationName.TEARDOWN,
    teardown,
    confirms=(
        Kind.INFRA_MACHINE,
        Kind.BMC_CONFIGURATION,
        Kind.MACHINE_STATUS,
        Kind.WIPE_STATUS,
        Kind.POWER_OPERATION,
        Kind.REBOOT_STATUS,
    ),
    reads_power="try",
    waits_for_wipe=True,
)


@app.task(name="teardown", queue=QUEUE_BMC, bind=True)  # type: ignore[untyped-decorator]
def teardown_task(self: Any, machine_id: str, operation_id: str | None = None) -> str:
    """Remove the machine, if Omni does."""
    return perform(self, TEARDOWN, machine_id, operation_id)
