"""Arm a one-time network boot, by hand only: for a machine that a person is about to restart."""

from __future__ import annotations

from typing import Any

from app.machine.model import Decision, Machine, Operation, OperationName, Phase
from config.celery import QUEUE_BMC
from workers.celery_app import app
from workers.operation import perform
from workers.power import arm_pxe
from workers.turn import Procedure, Turn


def find(machine: Machine, decision: Decision) -> Operation | None:
    """Due when no gate holds, the machine stays, its BMC is configured, and it is to boot from the network."""
    infra_machine = machine.infra_machine
    if infra_machine is None or infra_machine.meta.phase is Phase.TEARING_DOWN or decision.gate is not None:
        return None
    if machine.bmc_configuration is None or not decision.requires_pxe:
        return None
    return Operation(OperationName.PXE_ARM, f"the next boot is to be {decision.boot_mode}", pxe=True)


def arm(turn: Turn) -> str:
    """Arm it."""
    arm_pxe(turn)
    return "armed to boot from the network once"


PXE_ARM = Procedure(OperationName.PXE_ARM, arm, reads_power="try", find=find)


@app.task(name="pxe_arm", queue=QUEUE_BMC, bind=True)  # type: ignore[untyped-decorator]
def pxe_arm(self: Any, machine_id: str, operation_id: str | None = None) -> str:
    """Arm a one-time network boot, if the machine is to boot from the network."""
    return perform(self, PXE_ARM, machine_id, operation_id)
