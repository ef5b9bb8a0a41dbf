"""What a person may order by hand: each verb, legal exactly when Omni wants what it does, or else why it is refused.

Pure. What only reads is legal wherever there is something to read.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from app.machine import bmc_login, facts, power, rebooting, wiping
from app.machine.by_hand import RULES
from app.machine.facts import Standing
from app.machine.model import BootMode, Decision, Gate, Machine, Operation, OperationName
from app.machine.sentences import GATE_WORDS, shown, why_on


class Verb(enum.StrEnum):
    """What can be ordered, as it stands in the API's paths."""

    RETRY = "retry"
    WIPE = "wipe"
    REBOOT = "reboot"
    POWER_ON = "power-on"
    POWER_OFF = "power-off"
    PXE_ARM = "pxe-arm"
    ADOPT_RECORD = "record-adopt"
    WIPE_RECORD = "record-wipe"
    BMC_TEST = "bmc-test"
    BMC_PROBE = "bmc-probe"


@dataclass(frozen=True, slots=True)
class Offer:
    """Whether a verb may be ordered now. refusal: why not, in words; "" where it may."""

    verb: Verb
    refusal: str


# What each verb but the retry does.
OPERATIONS: Final = {
    Verb.WIPE: OperationName.WIPE,
    Verb.REBOOT: OperationName.REBOOT,
    Verb.POWER_ON: OperationName.POWER_ON,
    Verb.POWER_OFF: OperationName.POWER_OFF,
    Verb.PXE_ARM: OperationName.PXE_ARM,
    Verb.ADOPT_RECORD: OperationName.ADOPT_RECORD,
    Verb.WIPE_RECORD: OperationName.WIPE_RECORD,
    Verb.BMC_TEST: OperationName.BMC_TEST,
    Verb.BMC_PROBE: OperationName.BMC_PROBE,
}
_RECORDS = (Verb.ADOPT_RECORD, Verb.WIPE_RECORD)
# They change nothing, so that no gate holds them back.
_READING = (Verb.BMC_TEST, Verb.BMC_PROBE)
BY_HAND_ONLY: Final = frozenset(RULES)
# They are written to Omni as soon as they are due: nobody has to ask for them.
_BY_THEMSELVES = (OperationName.ACKNOWLEDGE_POWER_OFF, OperationName.ACKNOWLEDGE_REBOOT)


def offers(machine: Machine, decision: Decision, running: str = "") -> tuple[Offer, ...]:
    """All verbs in their order, with what holds of each.

    decision: that on this very machine.
    running: the operation that works on it now: nothing is started beside one.
    """
    busy = busy_words(running) if running else ""
    return tuple(Offer(verb, busy or refusal(machine, decision, verb)) for verb in Verb)


def busy_words(running: str) -> str:
    """Why nothing is started while an operation works on the machine."""
    return f"{running} runs now"


def refusal(machine: Machine, decision: Decision, verb: Verb) -> str:
    """Why the verb is refused, or ""."""
    if verb is Verb.RETRY:
        return _why_no_retry(machine, decision)
    return "" if due(machine, decision, OPERATIONS[verb]) else _why_not(machine, decision, verb)


def due(machine: Machine, decision: Decision, name: OperationName) -> Operation | None:
    """The operation of this name, if it may be done now: as decided, or by its own rule where it is by hand only."""
    by_hand = RULES.get(name)
    return by_hand(machine, decision) if by_hand else decision.find(name)


def why_not_due(machine: Machine, decision: Decision, name: OperationName) -> str:
    """Why an operation may not be done now, for whoever started its task."""
    verb = next((verb for verb, operation in OPERATIONS.items() if operation is name), None)
    return _why_not(machine, decision, verb) if verb else " ".join(decision.reasons[-3:])


def first_due(decision: Decision) -> Operation | None:
    """What a retry starts."""
    return next(iter(tasks_due(decision)), None)


def tasks_due(decision: Decision) -> tuple[Operation, ...]:
    """What is due and done by a task, in its order."""
    return tuple(o for o in decision.operations if o.name not in _BY_THEMSELVES)


# Why not


def _why_no_retry(machine: Machine, decision: Decision) -> str:
    """A BMC that refused its login says no power state, and is asked again by a retry: so that one is legal too."""
    if first_due(decision) is not None or _power_is_missed(machine, decision):
        return ""
    return f"Nothing is due. {' '.join(decision.reasons[-3:])}"


def _power_is_missed(machine: Machine, decision: Decision) -> bool:
    wish, configured = machine.infra_machine, machine.bmc_configuration is not None
    open_to_us = wish is not None and not facts.tearing_down(machine) and decision.gate is None
    return open_to_us and configured and machine.facts.powered_on is None


def _why_not(machine: Machine, decision: Decision, verb: Verb) -> str:
    wish = machine.infra_machine
    if wish is None:
        return "Omni does not know the machine: it waits in agent mode."
    if facts.tearing_down(machine):
        return "The machine was removed from Omni: nothing but its teardown is due."
    if verb in _RECORDS:
        return _why_no_record(machine, decision)
    if decision.gate is not None and verb not in _READING:
        return GATE_WORDS[decision.gate]
    standing = facts.standing_of(machine, wish)
    if verb is not Verb.WIPE and not standing.bmc_configured:
        why = (GATE_WORDS[decision.gate],) if decision.gate else bmc_login.weigh(standing).reasons
        return " ".join(("Its BMC is not configured.", *why))
    return _WHY_NOT[verb](standing, decision)


def _why_no_record(machine: Machine, decision: Decision) -> str:
    if not facts.record_lost(machine):
        status = machine.wipe_status
        if status is None:
            return "No record is lost: we have never wiped the machine."
        if not status.initial_wipe_done:
            return "No record is lost: it says that the first wipe is still to be done."
        return f"No record is lost: it says that the disks were wiped for {shown(status.last_wipe_id)}."
    if decision.gate is not None and decision.gate is not Gate.RECORD_LOST:
        return f"{GATE_WORDS[decision.gate]} That its record is lost can be decided on after that."
    return "The machine is in no cluster: its disks hold nothing to keep. Use `omni-metal record MACHINE --wipe`."


def _why_no_wipe(standing: Standing, _: Decision) -> str:
    if standing.requires_wipe:
        return " ".join(wiping.weigh(standing).reasons)
    wipe_id = shown(standing.wish.wipe_id)
    return f"Omni does not want it wiped: its wipe id {wipe_id} is the one that it was wiped for."


def _why_no_reboot(standing: Standing, decision: Decision) -> str:
    if standing.reboot_requested:
        return " ".join(rebooting.weigh(standing, decision.wait_s or 0.0).reasons)
    if standing.powered_on is False:
        return "Omni has asked for no reboot, and the machine is off."
    if rebooting.wrong_mode(standing) is not False:
        return " ".join(rebooting.weigh(standing, decision.wait_s or 0.0).reasons)
    if standing.boot_mode is BootMode.TALOS_DISK or not standing.requires_power_on:
        return "Omni has asked for no reboot, and the machine needs none."
    return f"Omni has asked for no reboot, and the machine runs as it should ({standing.boot_mode})."


def _why_no_power_on(standing: Standing, _: Decision) -> str:
    if standing.powered_on is False and not power.wants_power(standing):
        return "Omni prefers it off: it is in no cluster, and no wipe is due."
    if standing.powered_on and power.wants_power(standing):
        return f"It is on, as it should be: {why_on(standing)}."
    if standing.powered_on:
        return "It is on already."
    return " ".join(power.weigh_power(standing, 0.0).reasons)


def _why_no_power_off(standing: Standing, decision: Decision) -> str:
    if standing.powered_on is False:
        return "It is off already."
    if standing.powered_on and power.wants_power(standing):
        return f"Omni wants it on: {why_on(standing)}." if standing.requires_power_on else "Omni prefers it to be on."
    return " ".join(power.weigh_power(standing, decision.wait_s or 0.0).reasons)


def _why_no_pxe(standing: Standing, _: Decision) -> str:
    return f"It is to boot from its disk ({standing.boot_mode}), not from the network."


_WHY_NOT: Final[dict[Verb, Callable[[Standing, Decision], str]]] = {
    Verb.WIPE: _why_no_wipe,
    Verb.REBOOT: _why_no_reboot,
    Verb.POWER_ON: _why_no_power_on,
    Verb.POWER_OFF: _why_no_power_off,
    Verb.PXE_ARM: _why_no_pxe,
}
