"""Is the machine to be powered on or off, and is a power-off that Omni asked for to be acknowledged."""

from __future__ import annotations

from app.machine.facts import Standing
from app.machine.model import Operation, OperationName, PreferredPowerState
from app.machine.sentences import Weighed, because, due, duration, shown, why_on


def weigh_request(standing: Standing) -> Weighed:
    """acknowledge_power_off: weighed before the power-on, which an unacknowledged request holds back."""
    if not standing.power_off_unacknowledged:
        return Weighed()
    request = standing.wish.power_off_request_id
    if not standing.bmc_configured:
        return because(f"Omni powers the machine down (request {shown(request)}), but its BMC is not configured.")
    reason = f"Omni powers the machine down: its request {shown(request)} is to be acknowledged."
    return due(Operation(OperationName.ACKNOWLEDGE_POWER_OFF, reason, cause=(request,)))


def on_is_due(standing: Standing) -> bool:
    """Whether a power-on is due."""
    return standing.bmc_configured and standing.powered_on is False and not standing.held_off and wants_power(standing)


def wants_power(standing: Standing) -> bool:
    """Whether the machine is to have power where nothing holds it back."""
    return standing.requires_power_on or standing.wish.preferred_power_state is PreferredPowerState.ON


def weigh_power(standing: Standing, cooldown_s: float) -> Weighed:
    """power_on and power_off: both need a power state that is known."""
    if standing.powered_on is None:
        return because("The power state is not known, so it is neither powered on nor off.")
    return _weigh_off(standing, cooldown_s) if standing.powered_on else _weigh_on(standing)


def _weigh_on(standing: Standing) -> Weighed:
    if not wants_power(standing):
        return because("It is off and may stay off.")
    if standing.held_off:
        request = shown(standing.wish.power_off_request_id)
        return because(f"It is off and stays off: Omni asked for that (request {request}).")
    boots = f"boots {standing.boot_mode} from the network" if standing.requires_pxe else "boots from its disk"
    reason = f"It is off and must be on: {why_on(standing)}. It {boots}."
    return due(Operation(OperationName.POWER_ON, reason, cause=_cause(standing), pxe=standing.requires_pxe))


def _weigh_off(standing: Standing, cooldown_s: float) -> Weighed:
    if wants_power(standing):
        return because(f"It is on, as it should be: {why_on(standing)}.")
    reason = "It is on, nothing needs it, and Omni prefers it to be off"
    if cooldown_s > 0:
        waits = f"{reason}; it was powered on a short time ago and stays on for {duration(cooldown_s)} more."
        return Weighed(reasons=(waits,), wait_s=cooldown_s)
    return due(Operation(OperationName.POWER_OFF, f"{reason}.", cause=_cause(standing)))


def _cause(standing: Standing) -> tuple[str, ...]:
    wish = standing.wish
    return (
        wish.cluster_talos_version,
        wish.wipe_id,
        wish.preferred_power_state.name,
        wish.requested_reboot_id,
        wish.power_off_request_id,
    )
