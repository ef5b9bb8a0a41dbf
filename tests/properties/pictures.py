"""Whole pictures of machines by chance. Values come from small pools, so that they meet each other often."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st

from app.machine.model import (
    Acceptance,
    BmcConfig,
    BmcConfiguration,
    DecideOptions,
    Facts,
    InfraMachine,
    InfraMachineStatus,
    Ipmi,
    Machine,
    MachineStatus,
    Meta,
    Phase,
    PowerOperation,
    PowerState,
    PreferredPowerState,
    RebootStatus,
    WipeStatus,
)

ID = "5e0c1f2a-0000-4000-8000-000000000001"
NOW = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
INTERVAL_S = 900.0
OPTIONS = DecideOptions(min_reboot_interval_s=INTERVAL_S)

wipe_ids = st.sampled_from(["", "w1", "w2"])
request_ids = st.sampled_from(["", "", "x1", "x2"])
tokens = st.sampled_from(["", "token"])
counts = st.sampled_from([0, 1, 2])
tri = st.sampled_from([True, False, None])
ages_s = st.sampled_from([-(10**8), -60, 0, 1, 899, 900, 901, 10**6])
stamps = st.none() | ages_s.map(lambda age_s: NOW - timedelta(seconds=age_s))
metas = st.sampled_from([Phase.RUNNING] * 4 + [Phase.TEARING_DOWN]).map(lambda phase: Meta(id=ID, phase=phase))
ipmis = st.none() | st.builds(
    Ipmi,
    address=st.sampled_from(["", "10.0.0.9"]),
    port=st.sampled_from([0, 623]),
    username=st.sampled_from(["admin", "talos-agent"]),
    password=st.sampled_from(["", "one", "two"]),
)
addresses = st.none() | st.sampled_from(["", "10.0.0.9:80"])

infra_machines = st.builds(
    InfraMachine,
    meta=metas,
    preferred_power_state=st.sampled_from(PreferredPowerState),
    acceptance_status=st.sampled_from([Acceptance.ACCEPTED] * 4 + [Acceptance.PENDING, Acceptance.REJECTED]),
    cluster_talos_version=st.sampled_from(["", "1.13.7"]),
    extensions=st.sampled_from([(), ("siderolabs/a",), ("bad\nname",)]),
    wipe_id=wipe_ids,
    extra_kernel_args=st.sampled_from(["", "debug", "${x}"]),
    requested_reboot_id=request_ids,
    cordoned=st.sampled_from([False] * 4 + [True]),
    install_event_id=counts,
    node_unique_token=tokens,
    power_off_request_id=request_ids,
)
statuses = st.builds(
    InfraMachineStatus,
    meta=metas,
    power_state=st.sampled_from(PowerState),
    ready_to_use=st.booleans(),
    last_reboot_id=request_ids,
    last_reboot_timestamp=stamps,
    installed=st.booleans(),
    wiped_node_unique_token=tokens,
    last_power_off_id=request_ids,
)
machines = st.builds(
    Machine,
    id=st.just(ID),
    now=st.just(NOW),
    facts=st.builds(Facts, powered_on=tri, agent_accessible=tri, login_refused=st.sampled_from([False] * 4 + [True])),
    infra_machine=st.sampled_from([False] * 9 + [True]).flatmap(lambda none: st.none() if none else infra_machines),
    infra_machine_status=st.none() | statuses,
    bmc_config=st.none() | st.builds(BmcConfig, meta=metas, ipmi=ipmis, api_address=addresses),
    bmc_configuration=st.none()
    | st.builds(BmcConfiguration, meta=metas, ipmi=ipmis, api_address=addresses, manually_configured=st.booleans()),
    machine_status=st.none()
    | st.builds(
        MachineStatus,
        meta=metas,
        agent_accessible=st.booleans(),
        power_state=st.sampled_from(PowerState),
        initialized=st.booleans(),
    ),
    wipe_status=st.none()
    | st.builds(
        WipeStatus,
        meta=metas,
        last_wipe_id=wipe_ids,
        last_wipe_install_event_id=counts,
        initial_wipe_done=st.sampled_from([True, True, False]),
        wiped_node_unique_token=tokens,
    ),
    power_operation=st.none()
    | st.builds(
        PowerOperation,
        meta=metas,
        last_power_operation=st.sampled_from(PowerState),
        last_power_on_timestamp=stamps,
        last_power_off_id=request_ids,
        wipe_id_at_power_off=wipe_ids,
    ),
    reboot_status=st.none()
    | st.builds(RebootStatus, meta=metas, last_reboot_id=request_ids, last_reboot_timestamp=stamps),
)
