"""Write a lost wipe record anew, by hand only: a person says what the machine's disks are.

Adopting keeps what is on them: the record says that they were wiped for what Omni wants now. Wiping has them wiped:
the record says that the first wipe is still to be done, and the watcher goes on from there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from app.machine.model import OperationName
from app.omni.kinds import Kind
from app.omni.resource import Draft
from app.state.connection import as_bytes
from app.state.orders import record_order_key
from config.celery import QUEUE_BMC
from workers.celery_app import app
from workers.operation import perform
from workers.turn import NotDue, Procedure, Turn

CONFIRMS = (Kind.INFRA_MACHINE, Kind.WIPE_STATUS, Kind.INFRA_MACHINE_STATUS)


def adopt(turn: Turn) -> str:
    """Record that its disks were wiped for the wipe id of now, and that what is installed on them was put there since.

    Should Omni want another wipe by the time that this is stored, its wipe id differs from the recorded one, and the
    wipe is due.
    """
    wish, reported = turn.machine.infra_machine, turn.machine.infra_machine_status
    if wish is None or reported is None:
        raise NotDue("Omni does not know the machine")

    def fill(spec: Any) -> None:
        spec.initial_wipe_done = True
        spec.last_wipe_id = wish.wipe_id
        spec.wiped_node_unique_token = reported.wiped_node_unique_token
        spec.last_wipe_install_event_id = max(0, wish.install_event_id - int(reported.installed))

    _only_as_ordered_last(turn)
    _create(turn, fill)
    return f"wrote the lost record anew: the disks are kept, as wiped for wipe id {wish.wipe_id!r}"


def have_wiped(turn: Turn) -> str:
    """Record that its first wipe is still to be done."""

    def fill(spec: Any) -> None:
        spec.initial_wipe_done = False

    _only_as_ordered_last(turn)
    _create(turn, fill)
    return "wrote the lost record anew: the disks are to be wiped"


def _only_as_ordered_last(turn: Turn) -> None:
    """Orders may wait for a worker, and a person may think again meanwhile. Raises NotDue."""
    key, own = record_order_key(turn.machine.id), turn.operation.name.value
    last = turn.services.redis.get(key)
    if last is None:
        return
    if as_bytes(last).decode() != own:
        raise NotDue(f"{as_bytes(last).decode()} was ordered after it")
    turn.services.redis.delete(key)


def _create(turn: Turn, fill: Callable[[Any], None]) -> None:
    """Make the record. Raises NotDue where there is one by now: what it says must not be written over."""

    def edit(draft: Draft) -> None:
        if draft.base.version:
            raise NotDue("the record has appeared meanwhile")
        fill(draft.spec)

    turn.guard.check_still_ours()
    resource = turn.services.omni.update(Kind.WIPE_STATUS, turn.machine.id, edit, create=True, absent=True)
    turn.services.mirror.put(resource)


ADOPT_RECORD = Procedure(OperationName.ADOPT_RECORD, adopt, CONFIRMS, waits_for_wipe=True)
WIPE_RECORD = Procedure(OperationName.WIPE_RECORD, have_wiped, CONFIRMS)


@app.task(name="adopt_record", queue=QUEUE_BMC, bind=True)  # type: ignore[untyped-decorator]
def adopt_record(self: Any, machine_id: str, operation_id: str | None = None) -> str:
    """Write the lost wipe record of a machine in a cluster anew, keeping what is on its disks."""
    return perform(self, ADOPT_RECORD, machine_id, operation_id)


@app.task(name="wipe_record", queue=QUEUE_BMC, bind=True)  # type: ignore[untyped-decorator]
def wipe_record(self: Any, machine_id: str, operation_id: str | None = None) -> str:
    """Write the lost wipe record of a machine anew, so that its disks are wiped."""
    return perform(self, WIPE_RECORD, machine_id, operation_id)
