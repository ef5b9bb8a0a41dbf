"""How the power of a machine and its BMC are told: an old answer never as if it were one of now."""

from __future__ import annotations

from datetime import datetime

from app.state.bmc_notes import BmcTrouble
from app.state.view import MachineView
from app.web.spans import ago_ms, span

UNKNOWN = "unknown"


def power(view: MachineView) -> str:
    """Its power, or the last answer of its BMC with its age, on which nothing is decided."""
    powered_on, read = view.machine.facts.powered_on, view.power_read
    if powered_on is not None:
        return _word(on=powered_on)
    return f"{_word(on=read.on)}, read {ago_ms(view.machine.now, read.at_ms)} ago" if read else UNKNOWN


def bmc_kind(view: MachineView) -> str:
    """How its BMC is spoken to: as it was found, or else as its login says."""
    configuration = view.machine.bmc_configuration
    if configuration is None:
        return ""
    if view.bmc_found is not None:
        return view.bmc_found.kind
    return "api" if configuration.api_address is not None else "ipmi" if configuration.ipmi else ""


def bmc_name(view: MachineView) -> str:
    """What its BMC is, and since when that is known; '' where it is not."""
    found = view.bmc_found
    if found is None or not found.name:
        return ""
    return f"{found.name}, seen {ago_ms(view.machine.now, found.found_ms)} ago"


def asked_again(trouble: BmcTrouble, now: datetime) -> str:
    """When a BMC in trouble is asked again."""
    if trouble.refused:
        return "with another login, or after a retry"
    left_s = trouble.next_ms / 1000 - now.timestamp()
    return f"in {span(left_s)}" if left_s > 0 else "with the next sweep"


def trouble(view: MachineView) -> str:
    """What goes wrong with its BMC: class, since when, cause, remedy, next try; '' where nothing does."""
    found, now = view.bmc_trouble, view.machine.now
    if found is None:
        return ""
    times = "1 failure" if found.count == 1 else f"{found.count} failures in a row"
    since = f"{found.error or 'trouble'} for {ago_ms(now, found.since_ms)} ({times})"
    return f"{since}: {found.told}. Asked again {asked_again(found, now)}."


def _word(*, on: bool) -> str:
    return "on" if on else "off"
