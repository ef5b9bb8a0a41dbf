"""Machines that Omni does not know: they are noted when they boot, at most 1,000 of them, for 24 hours."""

from __future__ import annotations

import time
from datetime import timedelta

import structlog

from app.machine.model import Machine
from app.omni.client import Omni
from app.omni.kinds import Kind
from app.state.boots import Boots
from app.state.mirror import Mirror

log = structlog.get_logger()

MOST = 1_000
KEPT = timedelta(hours=24)
# Counting looks at every machine; in between, those that were let in are added up.
COUNT_EVERY_S = 30.0


class Strangers:
    """Counts strangers, and shows them out."""

    def __init__(self, mirror: Mirror, boots: Boots) -> None:
        self._mirror = mirror
        self._boots = boots
        self._refused = False
        self._count = 0
        self._counted_s = -COUNT_EVERY_S

    def welcome(self, machine: Machine) -> bool:
        """Whether a MachineStatus may be made for this machine."""
        if machine.infra_machine is not None:
            return True
        if time.monotonic() - self._counted_s > COUNT_EVERY_S:
            self._counted_s = time.monotonic()
            self._count = len(self._known())
        if self._count < MOST:
            self._count += 1
            self._refused = False
            return True
        if not self._refused:
            log.warning("too_many_unknown_machines", most=MOST)
            self._refused = True
        return False

    def show_out(self, omni: Omni) -> None:
        """Remove the MachineStatus of strangers that have been away for a day. Raises OmniError."""
        for machine, notes in self._mirror.load_noted(sorted(self._known())):
            resource = self._mirror.resource(Kind.MACHINE_STATUS, machine.id)
            if resource is None or notes.tunnel is not None:
                continue
            updated = resource.raw.metadata.updated.ToDatetime(tzinfo=machine.now.tzinfo)
            booted_ms = int((machine.now - KEPT).timestamp() * 1000)
            if machine.now - updated > KEPT and notes.booted_ms < booted_ms:
                self._boots.forget(machine.id)  # else it would be noted again at once
                omni.remove(Kind.MACHINE_STATUS, machine.id)
                log.info("unknown_machine_forgotten", machine_id=machine.id)

    def _known(self) -> set[str]:
        return self._mirror.holders(Kind.MACHINE_STATUS) - self._mirror.holders(Kind.INFRA_MACHINE)
