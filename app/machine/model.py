"""The picture of a machine: what Omni wants of it, what we have recorded of it, and what is known of it now.

All values are frozen, so a picture can be handed around and decided on again and again. The resources carry the
fields of Omni's specs (docs/omni.md) under the same names.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime


class PowerState(enum.IntEnum):
    """Power state as Omni and our records number it; a BMC that cannot be read is UNKNOWN, never OFF."""

    UNKNOWN = 0
    OFF = 1
    ON = 2


class PreferredPowerState(enum.IntEnum):
    """What Omni would like the power of an idle machine to be (InfraMachine.preferred_power_state)."""

    OFF = 0
    ON = 1


class Acceptance(enum.IntEnum):
    """The operator's word on a machine (InfraMachine.acceptance_status)."""

    PENDING = 0
    ACCEPTED = 1
    REJECTED = 2


class Phase(enum.StrEnum):
    """The phase of a resource, as it stands on the wire."""

    RUNNING = "running"
    TEARING_DOWN = "tearingDown"


class BootMode(enum.StrEnum):
    """What a machine should boot into."""

    AGENT_PXE = "agent-pxe"
    TALOS_PXE = "talos-pxe"
    TALOS_DISK = "talos-disk"


class Gate(enum.StrEnum):
    """Why next to nothing may be done with a machine."""

    REJECTED = "rejected"
    NOT_ACCEPTED = "not accepted"
    CORDONED = "cordoned"
    RECORD_LOST = "record lost"


class OperationName(enum.StrEnum):
    """The operations, named as the tasks that do them. The last five are done by hand only, and never decided."""

    CONFIGURE_BMC = "configure_bmc"
    WIPE = "wipe"
    ACKNOWLEDGE_POWER_OFF = "acknowledge_power_off"
    POWER_ON = "power_on"
    POWER_OFF = "power_off"
    REBOOT = "reboot"
    ACKNOWLEDGE_REBOOT = "acknowledge_reboot"
    TEARDOWN = "teardown"
    PXE_ARM = "pxe_arm"
    ADOPT_RECORD = "adopt_record"
    WIPE_RECORD = "wipe_record"
    BMC_TEST = "bmc_test"
    BMC_PROBE = "bmc_probe"


@dataclass(frozen=True, slots=True)
class Meta:
    """The metadata of a resource. `version` is empty where the resource was never stored (explain, tests).

    created_ns: when it was made, in nanoseconds since 1970; a resource that is made anew begins its versions anew.
    updated_s: when it was written last, in seconds since 1970; 0 where that is not known.
    """

    id: str = ""
    version: str = ""
    created_ns: int = 0
    updated_s: float = 0.0
    phase: Phase = Phase.RUNNING
    owner: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    finalizers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class InfraMachine:
    """Omni's wish for a machine."""

    meta: Meta = field(default_factory=Meta)
    preferred_power_state: PreferredPowerState = PreferredPowerState.OFF
    acceptance_status: Acceptance = Acceptance.PENDING
    cluster_talos_version: str = ""
    extensions: tuple[str, ...] = ()
    wipe_id: str = ""
    extra_kernel_args: str = ""
    requested_reboot_id: str = ""
    cordoned: bool = False
    install_event_id: int = 0
    node_unique_token: str = field(default="", repr=False)
    power_off_request_id: str = ""


@dataclass(frozen=True, slots=True)
class InfraMachineStatus:
    """What we report to Omni of a machine."""

    meta: Meta = field(default_factory=Meta)
    power_state: PowerState = PowerState.UNKNOWN
    ready_to_use: bool = False
    last_reboot_id: str = ""
    last_reboot_timestamp: datetime | None = None
    installed: bool = False
    wiped_node_unique_token: str = field(default="", repr=False)
    last_power_off_id: str = ""


@dataclass(frozen=True, slots=True)
class Ipmi:
    """Address and login of an IPMI (and Redfish) BMC; the password never shows in a repr."""

    address: str = ""
    port: int = 0
    username: str = ""
    password: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class BmcConfig:
    """The BMC login that a user gave to Omni. `api_address` is None where there is no `api` part."""

    meta: Meta = field(default_factory=Meta)
    ipmi: Ipmi | None = None
    api_address: str | None = None


@dataclass(frozen=True, slots=True)
class BmcConfiguration:
    """The BMC login that we use."""

    meta: Meta = field(default_factory=Meta)
    ipmi: Ipmi | None = None
    api_address: str | None = None
    manually_configured: bool = False


@dataclass(frozen=True, slots=True)
class MachineStatus:
    """Our record of what the machine is doing."""

    meta: Meta = field(default_factory=Meta)
    agent_accessible: bool = False
    power_state: PowerState = PowerState.UNKNOWN
    initialized: bool = False


@dataclass(frozen=True, slots=True)
class WipeStatus:
    """Our record of the last wipe, with the values that the InfraMachine had when it began."""

    meta: Meta = field(default_factory=Meta)
    last_wipe_id: str = ""
    last_wipe_install_event_id: int = 0
    initial_wipe_done: bool = False
    wiped_node_unique_token: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class PowerOperation:
    """Our record of the last power operation."""

    meta: Meta = field(default_factory=Meta)
    last_power_operation: PowerState = PowerState.UNKNOWN
    last_power_on_timestamp: datetime | None = None
    last_power_off_id: str = ""
    wipe_id_at_power_off: str = ""


@dataclass(frozen=True, slots=True)
class RebootStatus:
    """Our record of the last reboot."""

    meta: Meta = field(default_factory=Meta)
    last_reboot_id: str = ""
    last_reboot_timestamp: datetime | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of the machine now, beside the resources.

    powered_on: what its BMC says; None where it could not be read.
    agent_accessible: a tunnel is open and its agent answered; None where that is not known.
    clock_stepped: when the clock by which times are told was last put forward or back, by that clock as it stands now.
    login_refused: its BMC refuses the very login that is in use.
    """

    powered_on: bool | None = None
    agent_accessible: bool | None = None
    clock_stepped: datetime | None = None
    login_refused: bool = False


@dataclass(frozen=True, slots=True)
class Machine:
    """One machine at one moment. A resource that does not exist is None."""

    id: str
    now: datetime
    facts: Facts = field(default_factory=Facts)
    infra_machine: InfraMachine | None = None
    infra_machine_status: InfraMachineStatus | None = None
    bmc_config: BmcConfig | None = None
    bmc_configuration: BmcConfiguration | None = None
    machine_status: MachineStatus | None = None
    wipe_status: WipeStatus | None = None
    power_operation: PowerOperation | None = None
    reboot_status: RebootStatus | None = None


@dataclass(frozen=True, slots=True)
class DecideOptions:
    """The options that the decision depends on.

    min_reboot_interval_s: seconds that must pass after a power-on before a power-off or reboot.
    pxe_boot_mode: `uefi` or `bios`.
    """

    min_reboot_interval_s: float = 900.0
    pxe_boot_mode: str = "uefi"


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation that is due.

    pxe: whether a one-time PXE boot is armed first (power_on, reboot, teardown), else None.
    source: `user` or `agent` (configure_bmc), else None.
    cause: the values that make it due; nothing that we write ourselves is part of it.
    wrong_mode: it is a reboot because the machine runs in the wrong boot mode, not one that was asked for.
    """

    name: OperationName
    reason: str
    cause: tuple[str, ...] = ()
    pxe: bool | None = None
    source: str | None = None
    wrong_mode: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """What is due on a machine and why (docs/explain.md names the fields)."""

    boot_mode: BootMode
    installed: bool
    requires_wipe: bool
    requires_pxe: bool
    requires_power_on: bool
    power_off_active: bool
    ready_to_use: bool
    gate: Gate | None
    operations: tuple[Operation, ...]
    wait_s: float | None
    reasons: tuple[str, ...]

    def find(self, name: OperationName) -> Operation | None:
        """The operation of this name, if it is due."""
        return next((o for o in self.operations if o.name is name), None)
