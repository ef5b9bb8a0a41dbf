"""What is due, once more: the rules of docs/behaviour.md written down a second time, as short as they are there."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from app.machine.model import (
    Acceptance,
    InfraMachine,
    Machine,
    Phase,
    PowerOperation,
    PreferredPowerState,
    RebootStatus,
)

DAY = timedelta(days=1)


def expected(m: Machine, interval_s: float) -> tuple[str, list[dict[str, Any]], float | None]:
    """The boot mode, what is due, and how long a cooldown holds something back."""
    i = m.infra_machine
    if i is None:
        return "agent-pxe", [], None
    w = m.wipe_status
    going = i.meta.phase is Phase.TEARING_DOWN
    wipe = w is None or not w.initial_wipe_done or w.last_wipe_id != i.wipe_id
    installed = i.install_event_id > (w.last_wipe_install_event_id if w else 0)
    reported = m.infra_machine_status
    lost = not going and w is None and reported is not None
    lost = lost and bool(reported and (reported.ready_to_use or reported.wiped_node_unique_token))
    pending = i.acceptance_status is not Acceptance.ACCEPTED
    if i.acceptance_status is Acceptance.REJECTED or lost:
        mode = "talos-disk"
    elif going or pending or not i.cluster_talos_version or m.bmc_configuration is None or wipe:
        mode = "agent-pxe"
    else:
        mode = "talos-disk" if installed else "talos-pxe"
    must_be_on = bool(i.cluster_talos_version) or installed or wipe
    on = m.facts.powered_on
    agent = False if on is False else m.facts.agent_accessible
    if going:
        return mode, _teardown(m, on, agent), None
    if pending or i.cordoned:
        return mode, [], None
    p = m.power_operation or PowerOperation()
    asked_off = bool(i.power_off_request_id) and i.power_off_request_id != p.last_power_off_id
    bmc = m.bmc_configuration is not None
    if lost:
        return mode, [{"name": "acknowledge_power_off"}] if bmc and asked_off else [], None
    due = _setup(m, agent)
    if wipe and m.machine_status and agent:
        due.append({"name": "wipe"})
    if not bmc:
        return mode, due, None
    if asked_off:
        due.append({"name": "acknowledge_power_off"})
    more, wait_s = _power(m, i, mode, on, agent, must_be_on=must_be_on, asked_off=asked_off, interval_s=interval_s)
    return mode, due + more, wait_s


def _setup(m: Machine, agent: bool | None) -> list[dict[str, Any]]:
    config, used = m.bmc_config, m.bmc_configuration
    if config and (config.ipmi or config.api_address is not None):
        given = config.ipmi
        ipmi = given and (given.address, given.port or 623, given.username, given.password)
        now = used and used.ipmi and (used.ipmi.address, used.ipmi.port, used.ipmi.username, used.ipmi.password)
        same = used and used.manually_configured and now == ipmi and used.api_address == config.api_address
        return [] if same else [{"name": "configure_bmc", "source": "user"}]
    ours = used and not used.manually_configured and (used.ipmi or used.api_address is not None)
    refused = used and used.api_address is None and m.facts.login_refused
    return [{"name": "configure_bmc", "source": "agent"}] if agent and (refused or not ours) else []


def _power(
    m: Machine,
    i: InfraMachine,
    mode: str,
    on: bool | None,
    agent: bool | None,
    *,
    must_be_on: bool,
    asked_off: bool,
    interval_s: float,
) -> tuple[list[dict[str, Any]], float | None]:
    p, r = m.power_operation or PowerOperation(), m.reboot_status or RebootStatus()
    active = bool(p.last_power_off_id) and p.last_power_off_id == i.power_off_request_id
    held = asked_off or (active and p.wipe_id_at_power_off == i.wipe_id)
    preferred_on = i.preferred_power_state is PreferredPowerState.ON
    asked_reboot = bool(i.requested_reboot_id) and i.requested_reboot_id != r.last_reboot_id
    pxe = mode != "talos-disk"
    power_on = on is False and not held and (must_be_on or preferred_on)
    due = [{"name": "power_on", "pxe": pxe}] if power_on else []
    cooled = []
    if on and not must_be_on and not preferred_on:
        cooled.append({"name": "power_off"})
    wrong = must_be_on and ((mode == "agent-pxe" and agent is False) or (mode == "talos-pxe" and agent is True))
    if on is not False and not held and m.machine_status and (wrong or asked_reboot):
        cooled.append({"name": "reboot", "pxe": pxe})
    stamps = [s for s in (p.last_power_on_timestamp, r.last_reboot_timestamp) if s and s - m.now <= DAY]
    left_s = min(interval_s, interval_s - (m.now - max(stamps)).total_seconds()) if stamps else 0.0
    wait_s = left_s if cooled and left_s > 0 else None
    due += [] if wait_s else cooled
    if on is False and asked_reboot and not power_on and m.machine_status:
        due.append({"name": "acknowledge_reboot"})
    return due, wait_s


def _teardown(m: Machine, on: bool | None, agent: bool | None) -> list[dict[str, Any]]:
    records = (m.bmc_configuration, m.machine_status, m.power_operation, m.reboot_status, m.wipe_status)
    begun = any(r is not None and r.meta.phase is Phase.TEARING_DOWN for r in records)
    reboots = m.bmc_configuration is not None and m.machine_status is not None and on is not False and not begun
    return [] if agent is None else [{"name": "teardown", "pxe": reboots and agent is False}]
