"""What is due on a machine: `decide()`, the one place that answers it (docs/behaviour.md, operations).

Level-triggered and pure: it looks at the picture as it is and lists all that is due now, in the order in which it
would be done, with the reasons in words. Watcher, tasks, boot endpoint and `explain` all ask here.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator

from app.machine import bmc_login, facts, power, rebooting, removal, wiping
from app.machine.cooldown import cooldown_left_s
from app.machine.facts import Standing
from app.machine.model import DecideOptions, Decision, Gate, Machine, Operation
from app.machine.sentences import GATE_WORDS, Weighed, because


def decide(machine: Machine, options: DecideOptions) -> Decision:
    """Everything that is due on the machine now, and why."""
    gate = facts.gate(machine)
    weighed = tuple(_weigh(machine, gate, options))
    waits = [w.wait_s for w in weighed if w.wait_s is not None]
    return Decision(
        boot_mode=facts.boot_mode(machine),
        installed=facts.installed(machine),
        requires_wipe=facts.requires_wipe(machine),
        requires_pxe=facts.requires_pxe(machine),
        requires_power_on=facts.requires_power_on(machine),
        power_off_active=facts.power_off_active(machine),
        ready_to_use=facts.ready_to_use(machine),
        gate=gate,
        operations=tuple(operation for w in weighed for operation in w.operations),
        wait_s=min(waits, default=None),
        reasons=tuple(reason for w in weighed for reason in w.reasons),
    )


def operation_id(machine_id: str, operation: Operation) -> str:
    """The id of an operation: a hash of machine, name and cause."""
    text = json.dumps([machine_id, operation.name.value, *operation.cause])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _weigh(machine: Machine, gate: Gate | None, options: DecideOptions) -> Iterator[Weighed]:
    wish = machine.infra_machine
    if wish is None:
        yield because("Omni does not know the machine: it waits in agent mode.")
        return
    standing = facts.standing_of(machine, wish)
    if facts.tearing_down(machine):
        yield removal.weigh(standing)
    elif gate is not None:
        yield because(GATE_WORDS[gate])
        if gate is Gate.RECORD_LOST:
            yield power.weigh_request(standing)
    else:
        yield from _weigh_open(standing, cooldown_left_s(machine, options.min_reboot_interval_s))


def _weigh_open(standing: Standing, cooldown_s: float) -> Iterator[Weighed]:
    """All operations of a machine that no gate holds."""
    yield bmc_login.weigh(standing)
    yield wiping.weigh(standing)
    yield power.weigh_request(standing)
    if not standing.bmc_configured:
        yield because("Its power is left alone until its BMC is configured.")
        return
    yield power.weigh_power(standing, cooldown_s)
    yield rebooting.weigh(standing, cooldown_s)
