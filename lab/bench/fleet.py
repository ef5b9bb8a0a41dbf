"""A fleet as it stands in Omni after years: machines that were accepted, set up and wiped, with all their records."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Final

from app.machine.model import Acceptance, BmcConfiguration, Ipmi, PowerState, PreferredPowerState
from app.omni.kinds import Kind, finalizer
from app.omni.resource import Draft
from lab.omni import StandInOmni

AGENT_USER: Final = "talos-agent"
PASSWORD: Final = "0123456789abcdef"  # noqa: S105  # of virtual BMCs
FIRST: Final = uuid.UUID("b31c0000-0000-4000-8000-000000000000").int


def machine_ids(count: int) -> list[str]:
    """The ids of so many machines, the same each time."""
    return [str(uuid.UUID(int=FIRST + number)) for number in range(count)]


def silent_bmc(machine_id: str) -> BmcConfiguration:
    """A BMC of the machine's own, which does not answer."""
    address = f"10.0.{int(machine_id[-4:-2], 16)}.{int(machine_id[-2:], 16)}"
    return BmcConfiguration(ipmi=Ipmi(address, 623, AGENT_USER, PASSWORD))


def put_machine(machine_id: str, omni: StandInOmni, bmc: BmcConfiguration | None = None) -> None:
    """A machine that is idle, with its six records and the InfraMachine. bmc: None is one that does not answer."""
    wipe_id, token = str(uuid.uuid5(uuid.NAMESPACE_OID, machine_id)), _token(machine_id)

    def infra_machine(draft: Draft) -> None:
        draft.spec.preferred_power_state = PreferredPowerState.OFF
        draft.spec.acceptance_status = Acceptance.ACCEPTED
        draft.spec.wipe_id, draft.spec.node_unique_token, draft.spec.install_event_id = wipe_id, token, 1
        draft.finalizers.append(finalizer(omni.provider_id))

    def status(draft: Draft) -> None:
        draft.spec.power_state, draft.spec.ready_to_use = PowerState.OFF, True
        draft.spec.wiped_node_unique_token = token

    def machine_status(draft: Draft) -> None:
        draft.spec.power_state, draft.spec.initialized = PowerState.OFF, True

    def power(draft: Draft) -> None:
        draft.spec.last_power_operation = PowerState.OFF
        draft.spec.last_power_on_timestamp.FromDatetime(datetime(2026, 1, 1, tzinfo=UTC))

    def reboot(draft: Draft) -> None:
        draft.spec.last_reboot_id = wipe_id

    def wipe(draft: Draft) -> None:
        draft.spec.last_wipe_id, draft.spec.initial_wipe_done = wipe_id, True
        draft.spec.last_wipe_install_event_id, draft.spec.wiped_node_unique_token = 1, token

    edits: dict[Kind, Callable[[Draft], None]] = {
        Kind.INFRA_MACHINE: infra_machine,
        Kind.INFRA_MACHINE_STATUS: status,
        Kind.MACHINE_STATUS: machine_status,
        Kind.BMC_CONFIGURATION: partial(_configure, bmc or silent_bmc(machine_id)),
        Kind.POWER_OPERATION: power,
        Kind.REBOOT_STATUS: reboot,
        Kind.WIPE_STATUS: wipe,
    }
    for kind, edit in edits.items():
        omni.put(kind, machine_id, edit)


def _configure(bmc: BmcConfiguration, draft: Draft) -> None:
    if bmc.api_address is not None:
        draft.spec.api.address = bmc.api_address
    if bmc.ipmi is not None:
        draft.spec.ipmi.address, draft.spec.ipmi.port = bmc.ipmi.address, bmc.ipmi.port
        draft.spec.ipmi.username, draft.spec.ipmi.password = bmc.ipmi.username, bmc.ipmi.password


def _token(machine_id: str) -> str:
    """As long as a real one."""
    fingerprint = machine_id.replace("-", "") * 2
    return json.dumps({"Fingerprint": fingerprint, "Token": machine_id}, separators=(",", ":"))
