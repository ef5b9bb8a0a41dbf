"""The life of a machine as the steps of a story: what the operator does, and what must then come true.

A step's condition answers with nothing once it holds for a machine, else with words for what is still missing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from app.machine.model import PowerState
from lab.hardware import Stage
from lab.machine import VirtualMachine
from lab.observed import Observed
from lab.rack import Rack

TALOS_VERSION: Final = "1.13.7"
EXTENSIONS: Final = ("siderolabs/hello-world-service",)

# Every step takes seconds; on a busy machine with two cores, several times that. A step that has not come true by
# then never will.
STEP_LIMIT_S: Final = 60.0
# A failed wipe is tried again after a pause that doubles.
FAILED_WIPE_LIMIT_S: Final = 20.0
# A command that a BMC swallows costs the minute in which it is read back, and a pause that grows to five minutes. With
# one command in five going wrong, four failures in a row come to ten minutes, and five to one machine in hundreds.
DICE_LIMIT_S: Final = 900.0

Missing = Callable[[VirtualMachine, Observed], str]


@dataclass(frozen=True, slots=True)
class Step:
    """One step: `act` is done once, `missing` must become empty for every machine within the limit."""

    name: str
    missing: Missing
    limit_s: float
    act: Callable[[Rack], None] | None = None
    acted: str = ""


def whole_life(rack: Rack, cooldown_s: float) -> tuple[Step, ...]:
    """The steps from power-on to removal.

    Args:
        rack: whose times the limits depend on.
        cooldown_s: the provider's least time between a power-on and a power-off or reboot.
    """
    options = rack.options
    quick = STEP_LIMIT_S + 2 * options.boot_s + (0 if options.odds.fair else DICE_LIMIT_S)
    wipe = quick + cooldown_s + 2 * options.wipe_s
    wipe += FAILED_WIPE_LIMIT_S * min(options.fail_wipes + options.wipes_that_kill_agents, 5)
    rest = quick + cooldown_s
    return (
        Step("agent connected", _missing_agent, quick, _power_on, "all machines are switched on"),
        Step("BMC set up", _missing_bmc, quick, _accept, "the operator accepts the machines"),
        Step("disks wiped", _missing_wipe, wipe),
        Step("off and ready", _missing_ready, rest),
        Step("running Talos", _missing_talos, quick, _allocate, "the machines are put into a cluster"),
        Step("wiped again", _missing_wipe, wipe, _deallocate, "the machines are taken out of the cluster"),
        Step("off and ready again", _missing_ready, rest),
        Step("removed", _missing_removal, rest, _remove, "the operator removes the machines"),
    )


def _power_on(rack: Rack) -> None:
    rack.omni.allow_joins(allowed=True)
    rack.power_on()


def _accept(rack: Rack) -> None:
    for machine in rack.machines:
        rack.omni.accept(machine.id)


def _allocate(rack: Rack) -> None:
    for index, machine in enumerate(rack.machines):
        rack.omni.allocate(machine.id, TALOS_VERSION, EXTENSIONS, control_plane=index == 0)


def _deallocate(rack: Rack) -> None:
    for machine in rack.machines:
        if machine.stage is not Stage.TALOS:
            machine.complaints.append(f"in a cluster, but left Talos for: {machine.stage.value}")
        rack.omni.deallocate(machine.id)


def _remove(rack: Rack) -> None:
    rack.omni.allow_joins(allowed=False)
    for machine in rack.machines:
        rack.omni.remove(machine.id)


def _missing_agent(machine: VirtualMachine, seen: Observed) -> str:
    if not seen.known:
        return f"it has not joined Omni ({machine.stage.value}; {machine.last_error or 'no error seen'})"
    return "" if seen.agent_accessible else "the provider does not say that its agent is accessible"


def _missing_bmc(_: VirtualMachine, seen: Observed) -> str:
    return "" if seen.bmc_configured else "there is no BMCConfiguration"


def _missing_wipe(machine: VirtualMachine, seen: Observed) -> str:
    if not seen.wiped:
        return f"the wipe is not recorded ({machine.stage.value}{', wiping' if machine.wiping else ''})"
    return "its disk still holds a Talos" if machine.installed else ""


def _missing_ready(machine: VirtualMachine, seen: Observed) -> str:
    if not seen.ready:
        return "it is not reported ready to use"
    if machine.powered_on:
        return f"it is still on ({machine.stage.value})"
    return "" if seen.power is PowerState.OFF else f"its power is reported {seen.power.name}, not OFF"


def _missing_talos(machine: VirtualMachine, seen: Observed) -> str:
    if machine.stage is not Stage.TALOS:
        return f"it runs no installed Talos ({machine.stage.value}; {machine.last_error or 'no error seen'})"
    return "" if seen.installed else "it is not reported installed"


def _missing_removal(machine: VirtualMachine, seen: Observed) -> str:
    if seen.known:
        return "Omni still holds the machine"
    if seen.records:
        return f"records are left: {', '.join(seen.records)}"
    ledger = machine.bmc.ledger
    return "a session with its BMC is still open" if ledger.sessions or ledger.slots else ""
