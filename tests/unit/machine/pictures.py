"""Pictures of machines for tests: one at rest, with what a test changes about it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from app.machine.decide import decide
from app.machine.model import (
    Acceptance,
    BmcConfig,
    BmcConfiguration,
    DecideOptions,
    Decision,
    Facts,
    InfraMachine,
    InfraMachineStatus,
    Ipmi,
    Machine,
    MachineStatus,
    Meta,
    Operation,
    OperationName,
    Phase,
    PowerOperation,
    PowerState,
    PreferredPowerState,
    RebootStatus,
    WipeStatus,
)

ID = "5e0c1f2a-0000-4000-8000-000000000001"
NOW = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
OPTIONS = DecideOptions(min_reboot_interval_s=900)
META = Meta(id=ID)
GOING = Meta(id=ID, phase=Phase.TEARING_DOWN)
AGENT_LOGIN = BmcConfiguration(META, ipmi=Ipmi("10.0.0.9", 623, "talos-agent", "pw"))
ON, OFF = PreferredPowerState.ON, PreferredPowerState.OFF


def at_rest(**parts: Any) -> Machine:
    """Accepted, its BMC set up by the agent, wiped for w1, off and to stay off: nothing is due. `parts` replace."""
    machine = Machine(
        id=ID,
        now=NOW,
        facts=Facts(powered_on=False, agent_accessible=False),
        infra_machine=InfraMachine(META, acceptance_status=Acceptance.ACCEPTED, wipe_id="w1"),
        bmc_configuration=AGENT_LOGIN,
        machine_status=MachineStatus(META, initialized=True, power_state=PowerState.OFF),
        wipe_status=WipeStatus(META, "w1", 0, initial_wipe_done=True, wiped_node_unique_token="token"),
    )
    return replace(machine, **parts)


def wish(machine: Machine, **changes: Any) -> Machine:
    """What Omni wishes, changed."""
    assert machine.infra_machine is not None
    return replace(machine, infra_machine=replace(machine.infra_machine, **changes))


def seen(machine: Machine, on: bool | None, agent: bool | None) -> Machine:
    """What is known of it now, changed."""
    return replace(machine, facts=Facts(powered_on=on, agent_accessible=agent))


def wiping(on: bool | None = True, agent: bool | None = True) -> Machine:
    """A machine whose disks must be wiped for w2."""
    return seen(wish(at_rest(), wipe_id="w2"), on, agent)


def allocated(on: bool | None = True, agent: bool | None = False, installs: int = 0) -> Machine:
    """A machine in a cluster; `installs` counts the starts of an installed system."""
    return seen(wish(at_rest(), cluster_talos_version="1.13.7", install_event_id=installs), on, agent)


def powered_on_ago(machine: Machine, seconds: float) -> Machine:
    """We powered it on so many seconds ago."""
    before = machine.power_operation or PowerOperation(META, PowerState.ON)
    return replace(machine, power_operation=replace(before, last_power_on_timestamp=NOW - timedelta(seconds=seconds)))


def rebooted_ago(machine: Machine, seconds: float) -> Machine:
    """We rebooted it so many seconds ago."""
    before = machine.reboot_status or RebootStatus(META)
    return replace(machine, reboot_status=replace(before, last_reboot_timestamp=NOW - timedelta(seconds=seconds)))


def lost(machine: Machine | None = None) -> Machine:
    """The same machine with the record of its wipe lost."""
    status = InfraMachineStatus(META, ready_to_use=True, wiped_node_unique_token="token")
    return replace(machine or at_rest(), wipe_status=None, infra_machine_status=status)


def user_login(**login: Any) -> BmcConfig:
    """A user's BMC login."""
    return BmcConfig(META, **login)


def decided(machine: Machine, **options: Any) -> Decision:
    """The decision with an interval of 900 s."""
    return decide(machine, replace(OPTIONS, **options))


def due(machine: Machine) -> list[str]:
    """The names of what is due."""
    return [operation.name.value for operation in decided(machine).operations]


def operation(machine: Machine, name: OperationName) -> Operation:
    """An operation that must be due."""
    found = decided(machine).find(name)
    assert found is not None, decided(machine).reasons
    return found


def reasons(machine: Machine) -> str:
    """All reasons in one text."""
    return "\n".join(decided(machine).reasons)
