"""Reboot machines: into the right boot mode, or because Omni asks for it.

The reboot is recorded before the reset is sent: a crash between the two can lose a reboot, never double one.
"""

from __future__ import annotations

from typing import Any

from app.machine.decide import operation_id as id_of
from app.machine.model import OperationName, PowerState
from app.omni.errors import OmniUnavailable
from app.omni.kinds import Kind
from config.celery import QUEUE_BMC
from workers.celery_app import app
from workers.errors import NothingChanged, NotRecorded
from workers.operation import perform
from workers.power import Undo, arm_pxe, record_reboot, send, wait_for
from workers.power_turn import power_turn
from workers.turn import Procedure, Turn


def reboot(turn: Turn) -> str:
    """Arm PXE if the machine is to boot from the network, and reset it once."""
    _stop_after_many(turn)
    requested = turn.machine.infra_machine.requested_reboot_id if turn.machine.infra_machine else ""
    armed = arm_pxe(turn) if turn.operation.pxe else ""
    turn.guard.check()
    with power_turn(turn) as held:
        send(turn, turn.bmc.reboot, [_record(turn, requested)], held)
    wait_for(turn, PowerState.ON)
    return f"rebooted{armed}: {turn.operation.reason}"


def _record(turn: Turn, requested_id: str) -> Undo:
    """Record it. Where it may stand in Omni without a reset, nothing brings it about any more but a person."""
    try:
        return record_reboot(turn, requested_id, with_time=True)
    except OmniUnavailable as error:
        before = turn.machine.reboot_status
        if not requested_id or (before and before.last_reboot_id == requested_id):
            raise
        raise NotRecorded(f"the reset was not sent, since Omni did not confirm its record ({error})") from None


def _stop_after_many(turn: Turn) -> None:
    """Reboots that do not bring the machine into its mode are failures; after the last one it is parked."""
    if not turn.operation.wrong_mode:
        return
    before = turn.services.attempts.of(turn.machine.id).get(turn.operation.name.value)
    if before is None or before.parked or before.operation_id != id_of(turn.machine.id, turn.operation):
        return
    if before.count >= turn.services.settings.operation_attempts:
        raise NothingChanged(f"{before.count} reboots did not bring the machine into {turn.decision.boot_mode}")


REBOOT = Procedure(
    OperationName.REBOOT,
    reboot,
    confirms=(Kind.INFRA_MACHINE, Kind.WIPE_STATUS, Kind.POWER_OPERATION, Kind.REBOOT_STATUS),
    reads_power="try",
    waits_for_wipe=True,
)


@app.task(name="reboot", queue=QUEUE_BMC, bind=True)  # type: ignore[untyped-decorator]
def reboot_task(self: Any, machine_id: str, operation_id: str | None = None) -> str:
    """Reboot the machine, if that is due."""
    return perform(self, REBOOT, machine_id, operation_id)
