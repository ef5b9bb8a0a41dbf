"""Are the disks to be wiped: only through an agent that is known to be there."""

from __future__ import annotations

from app.machine.facts import Standing
from app.machine.model import Operation, OperationName
from app.machine.sentences import Weighed, because, due, shown, why_wipe


def weigh(standing: Standing) -> Weighed:
    """Wipe."""
    if not standing.requires_wipe:
        return because(f"No wipe is due: the disks were wiped for {shown(standing.wish.wipe_id)}.")
    needed = f"The disks must be wiped ({why_wipe(standing)})"
    if standing.machine.machine_status is None:
        return because(f"{needed}, but the machine has not been seen yet.")
    if standing.agent_accessible is None:
        return because(f"{needed}, but it is not known yet whether the agent is accessible.")
    if not standing.agent_accessible:
        return because(f"{needed}, but the agent is not accessible.")
    return due(Operation(OperationName.WIPE, f"{needed}.", cause=(standing.wish.wipe_id,)))
