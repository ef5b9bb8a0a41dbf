"""Before the mirror is called complete: is a wipe record that seems lost really not in Omni?"""

from __future__ import annotations

import structlog

from app.machine.facts import record_lost
from app.omni.client import Omni
from app.omni.kinds import Kind
from app.state.mirror import Mirror

log = structlog.get_logger()


def find_lost_records(omni: Omni, mirror: Mirror) -> None:
    """Ask Omni for each WipeStatus that seems lost. Raises OmniError."""
    for machine in mirror.load_each(mirror.machine_ids()):
        if not record_lost(machine):
            continue
        found = omni.get(Kind.WIPE_STATUS, machine.id)
        if found is not None:
            mirror.put(found)
        else:
            log.warning("wipe_record_lost", machine_id=machine.id)
