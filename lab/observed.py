"""What Omni holds of a machine, in the words that the story and the screen of the lab use."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from app.machine.model import (
    Acceptance,
    BmcConfiguration,
    InfraMachine,
    InfraMachineStatus,
    MachineStatus,
    Phase,
    PowerState,
    WipeStatus,
)
from app.omni.kinds import Kind
from app.omni.resource import Resource
from app.omni.resources import to_model

OURS = (
    Kind.INFRA_MACHINE_STATUS,
    Kind.MACHINE_STATUS,
    Kind.BMC_CONFIGURATION,
    Kind.POWER_OPERATION,
    Kind.REBOOT_STATUS,
    Kind.WIPE_STATUS,
)


class OmniReader(Protocol):
    """Where resources are read."""

    def get(self, kind: Kind, resource_id: str) -> Resource | None:
        """A resource, or None where there is none."""


@dataclass(frozen=True, slots=True)
class Observed:
    """A machine as Omni sees it. `records` are the kinds that the provider has written for it."""

    machine: InfraMachine | None = None
    status: InfraMachineStatus | None = None
    wipe: WipeStatus | None = None
    agent_accessible: bool = False
    bmc_configured: bool = False
    records: tuple[str, ...] = ()

    @property
    def known(self) -> bool:
        """Whether the machine has joined."""
        return self.machine is not None

    @property
    def ready(self) -> bool:
        """Whether it was reported ready to use."""
        return self.status is not None and self.status.ready_to_use

    @property
    def installed(self) -> bool:
        """Whether it was reported installed."""
        return self.status is not None and self.status.installed

    @property
    def power(self) -> PowerState:
        """The power state that was reported."""
        return PowerState.UNKNOWN if self.status is None else self.status.power_state

    @property
    def wiped(self) -> bool:
        """Whether the wipe that Omni wants now is recorded as done."""
        return (
            self.machine is not None
            and self.wipe is not None
            and self.wipe.initial_wipe_done
            and self.wipe.last_wipe_id == self.machine.wipe_id
        )

    @property
    def place(self) -> str:
        """Where it stands, in a word or two."""
        if self.machine is None:
            return "unknown"
        if self.machine.meta.phase is Phase.TEARING_DOWN:
            return "being removed"
        if self.machine.acceptance_status is not Acceptance.ACCEPTED:
            return self.machine.acceptance_status.name.lower()
        return "in a cluster" if self.machine.cluster_talos_version else "accepted"


def observe(omni: OmniReader, machine_id: str) -> Observed:
    """Read all that Omni holds of a machine."""
    held = {kind: omni.get(kind, machine_id) for kind in (Kind.INFRA_MACHINE, *OURS)}
    models = {kind: to_model(resource) for kind, resource in held.items() if resource is not None}
    machine, status = models.get(Kind.INFRA_MACHINE), models.get(Kind.INFRA_MACHINE_STATUS)
    wipe, own = models.get(Kind.WIPE_STATUS), models.get(Kind.MACHINE_STATUS)
    return Observed(
        machine=machine if isinstance(machine, InfraMachine) else None,
        status=status if isinstance(status, InfraMachineStatus) else None,
        wipe=wipe if isinstance(wipe, WipeStatus) else None,
        agent_accessible=isinstance(own, MachineStatus) and own.agent_accessible,
        bmc_configured=isinstance(models.get(Kind.BMC_CONFIGURATION), BmcConfiguration),
        records=tuple(kind.value for kind in OURS if kind in models),
    )
