"""How long a machine that was just powered on or rebooted must be left alone."""

from __future__ import annotations

from datetime import datetime, timedelta

from app.machine.model import Machine

# A record may be ahead of our clock by the difference of two hosts' clocks. One that is ahead by more than a day was
# written by a clock that stood wrong; it would hold the machine for as long as that clock was ahead.
BELIEVED_AHEAD = timedelta(days=1)


def last_power_on(machine: Machine) -> datetime | None:
    """When we last powered the machine on or rebooted it; None where that is not known."""
    power, reboot = machine.power_operation, machine.reboot_status
    stamps = (power.last_power_on_timestamp if power else None, reboot.last_reboot_timestamp if reboot else None)
    return max((s for s in stamps if s is not None and s - machine.now <= BELIEVED_AHEAD), default=None)


def cooldown_left_s(machine: Machine, min_reboot_interval_s: float) -> float:
    """Seconds until the machine may be powered off or rebooted; 0 = now.

    A power-on in the future counts as one that was just done. Where the clock was put forward or back since, nobody
    knows how long ago it was, and the interval counts from there.
    """
    last, stepped = last_power_on(machine), machine.facts.clock_stepped
    if last is None:
        return 0.0
    if stepped is not None and not stepped <= last <= machine.now:
        last = stepped
    passed_s = max(0.0, (machine.now - last).total_seconds())
    return max(0.0, min_reboot_interval_s - passed_s)
