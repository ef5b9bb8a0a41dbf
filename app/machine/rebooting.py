"""Is the machine to be rebooted: because it runs in the wrong boot mode, or because Omni asks for it."""

from __future__ import annotations

from app.machine.facts import Standing
from app.machine.model import BootMode, Operation, OperationName
from app.machine.power import on_is_due
from app.machine.sentences import Weighed, because, due, duration, shown


def weigh(standing: Standing, cooldown_s: float) -> Weighed:
    """Reboot and acknowledge_reboot. A machine that is known to be off is never rebooted."""
    if standing.powered_on is False:
        return _weigh_off_machine(standing)
    wrong = wrong_mode(standing)
    if not standing.reboot_requested and wrong is not True:
        return because(_why_not(standing))
    why = _why(standing)
    if standing.machine.machine_status is None:
        return because(f"{why}, but the machine has not been seen yet.")
    if standing.held_off:
        request = shown(standing.wish.power_off_request_id)
        return because(f"{why}, but Omni powers it down (request {request}).")
    if cooldown_s > 0:
        waits = f"{why}; it was powered on a short time ago and is left alone for {duration(cooldown_s)} more."
        return Weighed(reasons=(waits,), wait_s=cooldown_s)
    return due(
        Operation(
            OperationName.REBOOT,
            f"{why}.",
            cause=_cause(standing),
            pxe=standing.requires_pxe,
            wrong_mode=not standing.reboot_requested,
        )
    )


def _weigh_off_machine(standing: Standing) -> Weighed:
    request = standing.wish.requested_reboot_id
    if not standing.reboot_requested:
        return Weighed()
    asked = f"Omni asks for the reboot {shown(request)}"
    if on_is_due(standing):
        return because(f"{asked}; the power-on that is due fulfils it.")
    if standing.machine.machine_status is None:
        return because(f"{asked}, but the machine has not been seen yet.")
    reason = f"{asked}, but the machine is off and stays off: there is nothing to reboot."
    return due(Operation(OperationName.ACKNOWLEDGE_REBOOT, reason, cause=(request,)))


def wrong_mode(standing: Standing) -> bool | None:
    """Whether the machine runs what it should not run; None where that is not known."""
    if not standing.requires_power_on or standing.boot_mode is BootMode.TALOS_DISK:
        return False
    if standing.agent_accessible is None:
        return None
    return standing.agent_accessible is (standing.boot_mode is BootMode.TALOS_PXE)


def _why(standing: Standing) -> str:
    if standing.reboot_requested:
        return f"Omni asks for the reboot {shown(standing.wish.requested_reboot_id)}"
    runs = "the agent still runs" if standing.agent_accessible else "the agent is not accessible"
    return f"The machine should boot {standing.boot_mode}, but {runs}: it must be rebooted"


def _why_not(standing: Standing) -> str:
    if wrong_mode(standing) is None:
        return (
            f"The machine should boot {standing.boot_mode}; it is not known yet whether the agent is accessible, so it"
            " is not rebooted."
        )
    if not standing.requires_power_on or standing.boot_mode is BootMode.TALOS_DISK:
        asked = standing.wish.requested_reboot_id
        return f"No reboot is due: {f'none was asked for since {shown(asked)}' if asked else 'nobody asked for one'}."
    if standing.powered_on is None:
        return f"No reboot is due, as far as is known: it should boot {standing.boot_mode}, its power is not known."
    return f"No reboot is due: it runs as it should ({standing.boot_mode})."


def _cause(standing: Standing) -> tuple[str, ...]:
    wish = standing.wish
    if standing.reboot_requested:
        return ("requested", wish.requested_reboot_id)
    return ("wrong mode", standing.boot_mode, wish.wipe_id, wish.cluster_talos_version)
