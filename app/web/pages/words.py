"""What the pages say of a machine: pure functions of its view."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from app.machine.facts import record_lost
from app.machine.model import Decision, Gate, Machine, OperationName, PreferredPowerState
from app.machine.verbs import tasks_due
from app.state.attempts import Attempt
from app.state.health import Health
from app.state.history import HistoryEntry
from app.state.sentence import foremost, made_again
from app.state.view import MachineView, refused_words
from app.web.power import UNKNOWN, asked_again, bmc_kind, power
from app.web.search import bmc_address, cluster, talos
from app.web.spans import ago, span

LEFT = "left as it is"
_GATES: Final = {
    Gate.REJECTED: "nothing: it is rejected",
    Gate.NOT_ACCEPTED: "waits to be accepted in Omni",
    Gate.CORDONED: "nothing: it is cordoned",
    Gate.RECORD_LOST: "waits for a person's word on its record",
}
# Where nothing has failed, these still need to be told why nothing is done.
_STUCK: Final = ("record-lost", "wipe-due", "bmc-setup", "removing")


@dataclass(frozen=True, slots=True)
class Row:
    """A machine in the fleet's table, as text and marks."""

    id: str
    short: str
    named: str
    phase: str
    power: str
    power_wanted: str
    power_differs: bool
    agent: str
    bmc: str
    bmc_kind: str
    cluster: str
    talos: str
    last: str
    last_age: str
    last_failed: bool
    next: str
    cause: str


def row(view: MachineView) -> Row:
    """The machine in one line."""
    machine = view.machine
    known, wanted = yes_no(machine.facts.powered_on, "on", "off"), power_wanted(machine, view.decision)
    return Row(
        id=machine.id,
        short=machine.id[:8],
        named=" · ".join(filter(None, (view.serial, view.mac))),
        phase=view.phase,
        power=power(view),
        power_wanted=wanted if wanted == LEFT else f"wanted {wanted}",
        power_differs=wanted in ("on", "off") and known != wanted,
        agent=yes_no(machine.facts.agent_accessible, "there", "not there"),
        bmc=bmc_address(machine) or ("not set up" if machine.bmc_configuration is None else UNKNOWN),
        bmc_kind=bmc_kind(view),
        cluster=cluster(machine) or ("yes" if talos(machine) else ""),
        talos=f"Talos {talos(machine)}" if talos(machine) else "",
        last=f"{view.last.operation} {view.last.outcome}" if view.last else "",
        last_age=f"{span(machine.now.timestamp() - view.last.ended_ms / 1000)} ago" if view.last else "",
        last_failed=view.last is not None and view.last.outcome == "failed",
        next=what_next(view),
        cause=cause(view),
    )


def tried_next(view: MachineView, attempt: Attempt) -> str:
    """When a failed attempt is made again."""
    if not attempt.next_ms:
        return "waits for a person"
    return clock(attempt.next_ms) if made_again(view.machine.id, view.decision, attempt) else "not due now"


def parts(found: Health) -> tuple[tuple[str, bool, str], ...]:
    """The parts of the provider: name, whether it is as it should be, and how it is."""
    return (
        ("Omni", found.omni_connected, "connected" if found.omni_connected else "not connected"),
        ("watcher", found.watcher_alive, "alive" if found.watcher_alive else "none"),
        ("gateways", found.gateways > 0, str(found.gateways)),
        ("mirror", found.mirror_complete, "complete" if found.mirror_complete else "not complete"),
    )


def power_wanted(machine: Machine, decision: Decision) -> str:
    """The power state that Omni wants, in a word."""
    wish = machine.infra_machine
    if wish is None or decision.gate is not None:
        return LEFT
    if decision.power_off_active:
        return "off, as requested"
    if decision.requires_power_on or wish.preferred_power_state is PreferredPowerState.ON:
        return "on"
    return "off"


def cause(view: MachineView) -> str:
    """Why it failed, or else what a machine waits for that should not stay as it is."""
    failed = foremost(view.machine.id, view.decision, view.attempts)
    if failed is not None:
        return failed.words
    if view.bmc_trouble is not None:
        return view.bmc_trouble.told
    if view.attempts:
        return view.attempts[0].words
    waits = view.lease is None and view.queued is None and not tasks_due(view.decision)
    return view.sentence if waits and view.phase in _STUCK else ""


def warnings(view: MachineView) -> list[str]:
    """What a person should know beside what the machine is doing."""
    return [words for words in (refused_tunnel(view), view.unended_reboot) if words]


def refused_tunnel(view: MachineView) -> str:
    """What a person is told of a second tunnel of the machine; '' where there was none lately."""
    if view.refused_tunnel is None:
        return ""
    why = "the agent at the first one answered, so somebody claims to be this machine, or two machines have one UUID"
    return f"{refused_words(view.refused_tunnel)}: {why}."


def what_next(view: MachineView) -> str:
    """What happens next, and when."""
    decision, now = view.decision, view.machine.now
    if view.lease is not None:
        return f"{view.lease.operation} has run for {ago(now, view.lease.since)}"
    if view.queued is not None:
        return f"{view.queued} waits for a worker"
    if decision.gate is not None or view.waits:
        return _GATES[decision.gate] if decision.gate else view.waits
    if operations := tasks_due(decision):
        failed = {attempt.operation: attempt for attempt in view.attempts}
        # One that failed and waits for its time is passed over by the others.
        name = min((o.name.value for o in operations), key=lambda name: _left_s(failed.get(name), now))
        return _next_try(failed[name], now) if name in failed else f"{name}, now"
    if decision.wait_s is not None:
        return f"{_held_up(view)} in {span(decision.wait_s)} (cooldown)"
    return _nothing_due(view)


def _nothing_due(view: MachineView) -> str:
    parked = next((a.operation for a in view.attempts if a.parked), "")
    if parked:
        return f"{parked} is parked, and not due now"
    if view.bmc_trouble is None:
        return "nothing is due"
    if view.bmc_trouble.refused:
        return "waits for another login, or a retry"
    return f"the BMC is asked again {asked_again(view.bmc_trouble, view.machine.now)}"


def wiped_for(machine: Machine) -> str:
    """What our record says of its last wipe."""
    status = machine.wipe_status
    if status is None:
        return "the record of it is lost" if record_lost(machine) else "never wiped by us"
    if not status.initial_wipe_done:
        return "first wipe not done"
    return status.last_wipe_id or "first wipe"


def yes_no(value: bool | None, yes: str, no: str) -> str:  # noqa: FBT001 - a fact, not a switch
    """A fact that may not be known."""
    return UNKNOWN if value is None else yes if value else no


def took(entry: HistoryEntry) -> str:
    """How long an attempt took."""
    seconds = (entry.ended_ms - entry.started_ms) / 1000
    return f"{seconds:.1f} s" if seconds < 10 else span(seconds)


def clock(ms: int) -> str:
    """A moment in Redis' ms, as people read it."""
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _held_up(view: MachineView) -> str:
    """The operation that the cooldown holds up: whatever needs no power goes off, all else is rebooted."""
    unwanted = power_wanted(view.machine, view.decision) == "off"
    return (OperationName.POWER_OFF if unwanted else OperationName.REBOOT).value


def _left_s(failed: Attempt | None, now: datetime) -> float:
    """How long until the clock lets it be tried; 0 where it never failed."""
    if failed is None:
        return 0.0
    return max(0.0, failed.next_ms / 1000 - now.timestamp()) if failed.next_ms else math.inf


def _next_try(failed: Attempt, now: datetime) -> str:
    left_s = _left_s(failed, now)
    if failed.next_ms == 0:
        return f"{failed.operation} waits for a person"
    if left_s <= 0:
        return f"{failed.operation} is tried again now"
    state = "is parked; tried again" if failed.parked else "is tried again"
    return f"{failed.operation} {state} in {span(left_s)}"
