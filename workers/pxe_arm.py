"""Arm a one-time network boot, by hand only: for a machine that a person is about to restart."""

from __future__ import annotations

from typing import Any

from app.machine.model import OperationName
from app.omni.kinds import Kind
from config.celery import QUEUE_BMC
from workers.celery_app import app
from workers.operation import perform
from workers.power import arm_pxe
from workers.turn import Procedure, Turn


def arm(turn: Turn) -> str:
    """Arm it."""
    return arm_pxe(turn).removeprefix(", ")


PXE_ARM = Procedure(OperationName.PXE_ARM, arm, confirms=(Kind.INFRA_MACHINE, Kind.WIPE_STATUS), reads_power="try")


@app.task(name="pxe_arm", queue=QUEUE_BMC, bind=True)  # type: ignore[untyped-decorator]
def pxe_arm(self: Any, machine_id: str, operation_id: str | None = None) -> str:
    """Arm a one-time network boot, if the machine is to boot from the network."""
    return perform(self, PXE_ARM, machine_id, operation_id)
