"""A reboot that Omni asks for and of which nobody knows whether it was done, which who asked for it should know."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain

from app.machine.decide import operation_id
from app.machine.model import Machine, Operation, OperationName
from app.machine.sentences import shown
from app.machine.verbs import BY_HAND_ONLY
from app.state.history import HistoryEntry


def unended_reboot(machine: Machine, history: Iterable[HistoryEntry]) -> str:
    """What a person is told of the reboot that Omni asks for, where it may not have been done; else "".

    It is recorded before it is sent, so that none is doubled, and is not sent again: neither where its worker died nor
    where no answer came. What was done later on the machine is a sign that all went on; where the history was lost,
    nothing can be said. A reboot of another cause renews the time in the record and leaves the id as it is.

    history: that of the machine, newest first; no more of it is read than is needed.
    """
    wish, record = machine.infra_machine, machine.reboot_status
    if wish is None or record is None or record.last_reboot_timestamp is None:
        return ""
    asked, begun_at = wish.requested_reboot_id, record.last_reboot_timestamp
    if not asked or asked != record.last_reboot_id:
        return ""
    begun = f"The reboot {shown(asked)} that Omni asks for was begun at {begun_at:%Y-%m-%d %H:%M:%S} UTC"
    unknown = "whether the machine was reset is not known. Ask for another if it was not."
    own = operation_id(machine.id, Operation(OperationName.REBOOT, "", cause=("requested", asked)))
    begun_ms, entries, another_failed = begun_at.timestamp() * 1000, iter(history), False
    for entry in entries:
        if entry.ended_ms < begun_ms:
            was_done = any(_is_done(earlier, own) for earlier in chain([entry], entries))
            return "" if was_done or another_failed else f"{begun}, and its worker died: {unknown}"
        if entry.outcome == "done" and OperationName(entry.operation) not in BY_HAND_ONLY:
            return ""
        if entry.outcome != "failed":
            continue
        if entry.operation_id == own:
            return f"{begun} and has failed; it stands recorded and is not tried again: {unknown}"
        another_failed = another_failed or bool(entry.operation == OperationName.REBOOT and entry.operation_id)
    return ""


def _is_done(entry: HistoryEntry, operation_id: str) -> bool:
    return entry.outcome == "done" and entry.operation_id == operation_id
