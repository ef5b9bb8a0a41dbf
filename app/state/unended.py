"""A reboot whose end nobody has noted: its worker died amid it, and who asked for it should know."""

from __future__ import annotations

from app.machine.sentences import shown
from app.state.view import MachineView


def unended_reboot(view: MachineView) -> str:
    """What a person is told of the reboot that Omni asks for, where it stands recorded and did not end; else "".

    It is recorded before it is sent, so that none is doubled, and is not sent again. What ended later on the machine is
    a sign that all went on; where the history was lost, nothing can be said.
    """
    wish, record, last = view.machine.infra_machine, view.machine.reboot_status, view.last
    if wish is None or record is None or last is None or view.lease is not None:
        return ""
    asked, begun_at = wish.requested_reboot_id, record.last_reboot_timestamp
    if not asked or asked != record.last_reboot_id or begun_at is None:
        return ""
    if last.ended_ms >= begun_at.timestamp() * 1000:
        return ""
    begun = f"The reboot {shown(asked)} that Omni asks for was begun at {begun_at:%Y-%m-%d %H:%M:%S} UTC"
    return f"{begun}, and its worker died: whether the machine was reset is not known. Ask for another if it was not."
