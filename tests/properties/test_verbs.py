"""What holds of the orders by hand for every picture of a machine."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from app.machine.decide import decide
from app.machine.facts import allocated, record_lost, requires_wipe, tearing_down
from app.machine.model import (
    Acceptance,
    BmcConfiguration,
    BootMode,
    Gate,
    InfraMachine,
    InfraMachineStatus,
    Machine,
    Meta,
    OperationName,
    WipeStatus,
)
from app.machine.verbs import OPERATIONS, Verb, due, first_due, offers, why_not_due
from tests.properties.pictures import ID, OPTIONS, infra_machines, machines, statuses

# What `decide()` lists is all that a person may order; these it never lists.
READING = {Verb.BMC_TEST, Verb.BMC_PROBE}
BY_RULES_OF_THEIR_OWN = {Verb.RETRY, Verb.PXE_ARM, Verb.ADOPT_RECORD, Verb.WIPE_RECORD, *READING}
without_record = machines.map(lambda machine: replace(machine, wipe_status=None))


def with_lost_record(parts: tuple[Machine, InfraMachine, InfraMachineStatus]) -> Machine:
    """A machine that nothing holds but its lost record."""
    machine, wish, reported = parts
    wish = replace(wish, meta=Meta(id=ID), acceptance_status=Acceptance.ACCEPTED, cordoned=False)
    return replace(
        machine, wipe_status=None, infra_machine=wish, infra_machine_status=replace(reported, ready_to_use=True)
    )


lost = st.tuples(machines, infra_machines, statuses).map(with_lost_record)
quick = settings(max_examples=300, deadline=None)


def legal(machine: Machine) -> set[Verb]:
    return {offer.verb for offer in offers(machine, decide(machine, OPTIONS)) if not offer.refusal}


def as_recorded(machine: Machine, verb: Verb) -> Machine:
    """The machine with the record that the verb writes."""
    wish, reported = machine.infra_machine, machine.infra_machine_status
    assert wish is not None and reported is not None
    if verb is Verb.WIPE_RECORD:
        return replace(machine, wipe_status=WipeStatus(Meta(id=ID)))
    installs = max(0, wish.install_event_id - int(reported.installed))
    status = WipeStatus(Meta(id=ID), wish.wipe_id, installs, initial_wipe_done=True)
    return replace(machine, wipe_status=status)


@settings(max_examples=600, deadline=None)
@given(machines)
def test_every_verb_is_offered_or_refused_in_a_sentence(machine):
    found = offers(machine, decide(machine, OPTIONS))
    assert [offer.verb for offer in found] == list(Verb)
    for offer in found:
        assert not offer.refusal or (offer.refusal[0].isupper() and offer.refusal.endswith("."))
        assert "\n" not in offer.refusal


@quick
@given(machines)
def test_what_is_decided_is_legal_and_nothing_more(machine):
    decision, found = decide(machine, OPTIONS), legal(machine)
    for verb in set(Verb) - BY_RULES_OF_THEIR_OWN:
        assert (verb in found) is (decision.find(OPERATIONS[verb]) is not None)
    if first_due(decision):
        assert Verb.RETRY in found


@quick
@given(machines)
def test_wipe_is_legal_only_where_one_is_required_and_nothing_is_in_the_way(machine):
    if Verb.WIPE not in legal(machine):
        return
    decision = decide(machine, OPTIONS)
    assert decision.requires_wipe and decision.gate is None and not tearing_down(machine)
    assert machine.facts.powered_on is not False and machine.facts.agent_accessible


@quick
@given(machines)
def test_closed_gate_lets_nothing_be_ordered_but_what_only_reads_and_what_a_lost_record_needs(machine):
    decision = decide(machine, OPTIONS)
    if decision.gate is None:
        return
    allowed = {Verb.ADOPT_RECORD, Verb.WIPE_RECORD} if decision.gate is Gate.RECORD_LOST else set()
    assert legal(machine) <= allowed | READING


@quick
@given(without_record)
def test_record_is_written_anew_only_where_it_is_lost(machine):
    found = legal(machine)
    gate = decide(machine, OPTIONS).gate
    assert (Verb.WIPE_RECORD in found) is (gate is Gate.RECORD_LOST)
    assert (Verb.ADOPT_RECORD in found) is (gate is Gate.RECORD_LOST and allocated(machine))
    assert not found & {Verb.ADOPT_RECORD, Verb.WIPE_RECORD} or record_lost(machine)


@quick
@given(lost)
def test_adopted_machine_is_not_wiped_and_leaves_its_disk_only_if_nothing_was_installed(machine):
    if not allocated(machine):
        return
    assert Verb.ADOPT_RECORD in legal(machine)
    before, after = machine.infra_machine_status, as_recorded(machine, Verb.ADOPT_RECORD)
    decision = decide(after, OPTIONS)
    assert decision.gate is None and not decision.requires_wipe
    assert decision.find(OperationName.WIPE) is None
    assert decision.find(OperationName.POWER_OFF) is None
    if before.installed and machine.infra_machine.install_event_id and machine.bmc_configuration is not None:
        assert decision.installed and decision.boot_mode is BootMode.TALOS_DISK
        reboot = decision.find(OperationName.REBOOT)
        assert reboot is None or not reboot.wrong_mode


@quick
@given(lost)
def test_machine_whose_record_says_so_is_wiped_next(machine):
    assert Verb.WIPE_RECORD in legal(machine)
    after = as_recorded(machine, Verb.WIPE_RECORD)
    assert requires_wipe(after) and decide(after, OPTIONS).boot_mode is BootMode.AGENT_PXE
    under_agent = replace(after, facts=replace(after.facts, powered_on=True, agent_accessible=True))
    if machine.machine_status is None:
        return
    assert decide(under_agent, OPTIONS).find(OperationName.WIPE) is not None
    away = replace(
        after,
        bmc_configuration=machine.bmc_configuration or BmcConfiguration(Meta(id=ID), api_address="10.0.0.9:80"),
        infra_machine=replace(after.infra_machine, power_off_request_id=""),
        facts=replace(after.facts, powered_on=True, agent_accessible=False),
        power_operation=None,
        reboot_status=None,
    )
    reboot = decide(away, OPTIONS).find(OperationName.REBOOT)
    assert reboot is not None and reboot.pxe


@quick
@given(machines)
def test_network_boot_is_armed_only_where_one_is_wanted(machine):
    if Verb.PXE_ARM not in legal(machine):
        return
    decision = decide(machine, OPTIONS)
    assert decision.requires_pxe and decision.gate is None and machine.bmc_configuration is not None


@quick
@given(machines)
def test_task_that_is_not_due_can_always_say_why(machine):
    decision = decide(machine, OPTIONS)
    for name in OperationName:
        assert due(machine, decision, name) is not None or why_not_due(machine, decision, name)
