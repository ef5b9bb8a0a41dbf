"""What holds for every picture of a machine."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from app.machine.bmc_login import user_login
from app.machine.boot import BootRequest, BootSettings, DiskBoot, FactoryBoot, Refusal, boot_for
from app.machine.decide import decide, operation_id
from app.machine.errors import ScriptRefused
from app.machine.explain import decision_json, explain_line, picture_json
from app.machine.facts import record_lost, rejected
from app.machine.model import (
    BmcConfiguration,
    DecideOptions,
    Facts,
    Gate,
    Ipmi,
    Machine,
    Operation,
    OperationName,
    PowerOperation,
    PowerState,
    RebootStatus,
    WipeStatus,
)
from tests.properties.pictures import ID, INTERVAL_S, OPTIONS, machines
from tests.properties.rules import expected

ORDER = [name for name in OperationName if name is not OperationName.PXE_ARM]
BOOT_SETTINGS = BootSettings("10.0.0.1")
REQUEST = BootRequest(ID, arch="x86_64")
EDGES_OF_TIME = [
    edge.replace(tzinfo=zone)
    for edge in (datetime.min, datetime.max)  # noqa: DTZ901 - the zone is given right here
    for zone in (UTC, timezone(timedelta(hours=14)), timezone(-timedelta(hours=14)))
]
quick = settings(max_examples=200, deadline=None)


@settings(max_examples=600, deadline=None)
@given(machines)
def test_every_picture_is_decided_as_the_rules_say(machine):
    decision = decide(machine, OPTIONS)
    mode, due, wait_s = expected(machine, INTERVAL_S)
    found = decision_json(ID, decision)
    assert found["boot_mode"] == mode
    assert [{k: v for k, v in o.items() if k != "reason"} for o in found["operations"]] == due
    assert found["wait_s"] == wait_s


@quick
@given(machines)
def test_every_decision_is_whole(machine):
    decision = decide(machine, OPTIONS)
    names = [operation.name for operation in decision.operations]
    assert names == [name for name in ORDER if name in names]
    assert decision.reasons
    assert all(reason[0].isupper() and reason.endswith(".") for reason in decision.reasons)
    assert all(operation.reason in decision.reasons and operation.cause for operation in decision.operations)
    assert decision.wait_s is None or 0 < decision.wait_s <= INTERVAL_S


@quick
@given(machines)
def test_disk_is_never_booted_while_a_wipe_is_due(machine):
    decision = decide(machine, OPTIONS)
    assume(decision.requires_wipe and not rejected(machine) and not record_lost(machine))
    for operation in decision.operations:
        if operation.name in (OperationName.POWER_ON, OperationName.REBOOT):
            assert operation.pxe is True
    try:
        answer = boot_for(machine, REQUEST, BOOT_SETTINGS)
    except ScriptRefused:
        return
    assert not isinstance(answer, DiskBoot)
    if isinstance(answer, FactoryBoot):
        assert "siderolabs/metal-agent" in answer.schematic.extensions


@quick
@given(machines)
def test_every_boot_is_answered_by_mode_or_refused(machine):
    decision = decide(machine, OPTIONS)
    try:
        answer = boot_for(machine, REQUEST, BOOT_SETTINGS)
    except ScriptRefused:
        return
    if not isinstance(answer, Refusal):
        assert isinstance(answer, DiskBoot) is (decision.boot_mode == "talos-disk")
    else:
        wish = machine.infra_machine
        assert wish is not None
        assert wish.cordoned or rejected(machine)


@quick
@given(machines)
def test_nothing_is_done_behind_a_gate(machine):
    decision = decide(machine, OPTIONS)
    assume(decision.gate is not None)
    allowed = {OperationName.ACKNOWLEDGE_POWER_OFF} if decision.gate is Gate.RECORD_LOST else set()
    assert {operation.name for operation in decision.operations} <= allowed


@quick
@given(machines)
def test_what_is_not_known_is_waited_for(machine):
    machine = replace(machine, facts=Facts(powered_on=None, agent_accessible=None))
    decision = decide(machine, OPTIONS)
    forbidden = {
        OperationName.WIPE,
        OperationName.TEARDOWN,
        OperationName.POWER_ON,
        OperationName.POWER_OFF,
        OperationName.ACKNOWLEDGE_REBOOT,
    }
    for operation in decision.operations:
        assert operation.name not in forbidden
        assert operation.source != "agent"
        assert not operation.wrong_mode


@quick
@given(machines, st.sampled_from([0.0, 0.5, 450.0, INTERVAL_S - 0.001]), st.data())
def test_operation_that_took_effect_is_not_due_again_within_the_cooldown(machine, later_s, data):
    operations = decide(machine, OPTIONS).operations
    assume(operations)
    done = data.draw(st.sampled_from(operations))
    after = replace(after_effect(machine, done), now=machine.now + timedelta(seconds=later_s))
    again = decide(after, OPTIONS)
    assert again.find(done.name) is None
    if done.name in (OperationName.POWER_ON, OperationName.REBOOT):
        assert again.find(OperationName.POWER_OFF) is None
        assert again.find(OperationName.REBOOT) is None


@quick
@given(machines)
def test_operation_keeps_its_id_while_only_we_write(machine):
    decision = decide(machine, OPTIONS)
    rewritten = replace(
        machine,
        machine_status=machine.machine_status and replace(machine.machine_status, power_state=PowerState.UNKNOWN),
        power_operation=machine.power_operation
        and replace(machine.power_operation, last_power_on_timestamp=None, last_power_operation=PowerState.ON),
        wipe_status=machine.wipe_status and replace(machine.wipe_status, wiped_node_unique_token="new"),
    )
    for operation in decide(rewritten, OPTIONS).operations:
        before = decision.find(operation.name)
        assert before is None or operation_id(ID, before) == operation_id(ID, operation)


@quick
@given(machines)
def test_explain_decides_the_same_on_the_written_picture(machine):
    assume(any((machine.infra_machine, machine.machine_status, machine.wipe_status)))
    written = json.dumps(picture_json(machine, OPTIONS))
    assert explain_line(written) == decision_json(ID, decide(machine, OPTIONS))


@settings(max_examples=100, deadline=None)
@given(
    machines,
    st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=14)), timezone(-timedelta(hours=12))])),
    st.datetimes(timezones=st.just(UTC)),
    st.floats(0, 1e300),
)
def test_every_clock_is_survived(machine, now, stamp, interval_s):
    machine = replace(machine, now=now, reboot_status=RebootStatus(last_reboot_id="x", last_reboot_timestamp=stamp))
    options = DecideOptions(interval_s)
    decision = decide(machine, options)
    assert decision.wait_s is None or 0 < decision.wait_s <= interval_s
    explain_line(json.dumps(picture_json(machine, options)))


@quick
@given(machines, st.sampled_from(EDGES_OF_TIME), st.sampled_from(EDGES_OF_TIME))
def test_extreme_clocks_are_survived(machine, now, stamp):
    status = RebootStatus(last_reboot_timestamp=stamp)
    assert decide(replace(machine, now=now, reboot_status=status), OPTIONS).reasons


def after_effect(machine: Machine, done: Operation) -> Machine:  # noqa: PLR0911 - one for each operation
    """The picture after an operation was done now."""
    wish, now = machine.infra_machine, machine.now
    assert wish is not None
    power, reboot = machine.power_operation or PowerOperation(), machine.reboot_status or RebootStatus()
    requested = wish.requested_reboot_id
    match done.name:
        case OperationName.CONFIGURE_BMC:
            ours = BmcConfiguration(ipmi=Ipmi("10.0.0.9", 623, "talos-agent", "new"))
            login = user_login(machine.bmc_config) if done.source == "user" else ours
            return replace(machine, bmc_configuration=login, facts=replace(machine.facts, login_refused=False))
        case OperationName.WIPE:
            wiped = WipeStatus(
                last_wipe_id=wish.wipe_id, last_wipe_install_event_id=wish.install_event_id, initial_wipe_done=True
            )
            return replace(machine, wipe_status=wiped)
        case OperationName.ACKNOWLEDGE_POWER_OFF:
            power = replace(power, last_power_off_id=wish.power_off_request_id, wipe_id_at_power_off=wish.wipe_id)
            return replace(machine, power_operation=power)
        case OperationName.POWER_ON:
            power = replace(power, last_power_operation=PowerState.ON, last_power_on_timestamp=now)
            reboot = replace(reboot, last_reboot_id=requested or reboot.last_reboot_id)
            return replace(machine, power_operation=power, reboot_status=reboot, facts=Facts(True, False))
        case OperationName.POWER_OFF:
            return replace(machine, facts=Facts(False, False))
        case OperationName.REBOOT:
            reboot = replace(reboot, last_reboot_id=requested, last_reboot_timestamp=now)
            return replace(machine, reboot_status=reboot, facts=Facts(machine.facts.powered_on, False))
        case OperationName.ACKNOWLEDGE_REBOOT:
            return replace(machine, reboot_status=replace(reboot, last_reboot_id=requested))
        case _:
            return Machine(machine.id, now, machine.facts)
