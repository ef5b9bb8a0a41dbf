"""A fleet as it stands in Omni after years: machines that were accepted, set up and wiped, with all their records."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime
from typing import Final

from app.machine.model import Acceptance, PowerState, PreferredPowerState
from app.omni.kinds import Kind, finalizer
from app.omni.resource import Draft
from lab.omni import StandInOmni

FIRST: Final = uuid.UUID("b31c0000-0000-4000-8000-000000000000").int


def machine_ids(count: int) -> list[str]:
    """The ids of so many machines, the same each time."""
    return [str(uuid.UUID(int=FIRST + number)) for number in range(count)]


def put_machine(machine_id: str, omni: StandInOmni, api_bmc: str = "") -> None:
    """A machine that is idle, with its six records and the InfraMachine. api_bmc: the address of a BMC that answers."""
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

    def bmc(draft: Draft) -> None:
        if api_bmc:
            draft.spec.api.address = api_bmc
            return
        address = f"10.0.{int(machine_id[-4:-2], 16)}.{int(machine_id[-2:], 16)}"
        draft.spec.ipmi.address, draft.spec.ipmi.port = address, 623
        draft.spec.ipmi.username, draft.spec.ipmi.password = "talos-agent", "0123456789abcdef"

    def power(draft: Draft) -> None:
        draft.spec.last_power_operation = PowerState.OFF
        draft.spec.last_power_on_timestamp.FromDatetime(datetime(2026, 1, 1, tzinfo=UTC))

    def reboot(draft: Draft) -> None:
        draft.spec.last_reboot_id = wipe_id

    def wipe(draft: Draft) -> None:
        draft.spec.last_wipe_id, draft.spec.initial_wipe_done = wipe_id, True
        draft.spec.last_wipe_install_event_id, draft.spec.wiped_node_unique_token = 1, token

    edits = {
        Kind.INFRA_MACHINE: infra_machine,
        Kind.INFRA_MACHINE_STATUS: status,
        Kind.MACHINE_STATUS: machine_status,
        Kind.BMC_CONFIGURATION: bmc,
        Kind.POWER_OPERATION: power,
        Kind.REBOOT_STATUS: reboot,
        Kind.WIPE_STATUS: wipe,
    }
    for kind, edit in edits.items():
        omni.put(kind, machine_id, edit)


def _token(machine_id: str) -> str:
    """As long as a real one."""
    fingerprint = machine_id.replace("-", "") * 2
    return json.dumps({"Fingerprint": fingerprint, "Token": machine_id}, separators=(",", ":"))
