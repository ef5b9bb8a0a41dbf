"""What a person may order by hand, and the words of each refusal."""

from dataclasses import replace

import pytest

from app.machine.model import Acceptance, OperationName, PowerOperation, RebootStatus
from app.machine.verbs import BY_HAND_ONLY, OPERATIONS, Verb, due, offers
from tests.unit.machine.pictures import (
    GOING,
    META,
    ON,
    allocated,
    at_rest,
    decided,
    lost,
    powered_on_ago,
    rebooted_ago,
    seen,
    user_login,
    wiping,
    wish,
)

READING = {Verb.BMC_TEST, Verb.BMC_PROBE}


def legal(machine):
    """The verbs that may be ordered."""
    return {offer.verb for offer in offers(machine, decided(machine)) if not offer.refusal}


def refused(machine, verb):
    """Why a verb is refused."""
    (words,) = [offer.refusal for offer in offers(machine, decided(machine)) if offer.verb is verb]
    assert words, f"{verb} is legal"
    return words


def test_every_verb_is_offered_once_in_its_order():
    assert [offer.verb for offer in offers(at_rest(), decided(at_rest()))] == list(Verb)


LEGAL = {
    "nothing is due on a machine at rest": (at_rest(), {Verb.PXE_ARM}),
    "wipe under an agent": (wiping(), {Verb.RETRY, Verb.WIPE, Verb.PXE_ARM}),
    "reboot into the agent": (wiping(on=True, agent=False), {Verb.RETRY, Verb.REBOOT, Verb.PXE_ARM}),
    "power-on for a wipe": (wiping(on=False), {Verb.RETRY, Verb.POWER_ON, Verb.PXE_ARM}),
    "power-off of an idle machine": (seen(at_rest(), True, False), {Verb.RETRY, Verb.POWER_OFF, Verb.PXE_ARM}),
    "reboot that Omni asks for": (
        wish(allocated(installs=1), requested_reboot_id="r1"),
        {Verb.RETRY, Verb.REBOOT},
    ),
    "running from its disk": (allocated(installs=1), set()),
    "power not known": (allocated(on=None, installs=1), {Verb.RETRY}),
    "BMC set-up": (
        replace(seen(at_rest(), True, True), bmc_configuration=None, bmc_config=user_login(api_address="10.0.0.9:80")),
        {Verb.RETRY},
    ),
    "removal": (wish(at_rest(), meta=GOING), {Verb.RETRY}),
    "power-off request, which is acknowledged by itself": (
        wish(allocated(installs=1), power_off_request_id="p1"),
        set(),
    ),
    "record lost in a cluster": (lost(allocated(installs=1)), {Verb.ADOPT_RECORD, Verb.WIPE_RECORD}),
    "record lost outside a cluster": (lost(), {Verb.WIPE_RECORD}),
}


@pytest.mark.parametrize(("machine", "expected"), LEGAL.values(), ids=LEGAL)
def test_what_is_due_may_be_ordered_and_nothing_else(machine, expected):
    assert legal(machine) - READING == expected


@pytest.mark.parametrize("machine", [*(machine for machine, _ in LEGAL.values())], ids=LEGAL)
def test_bmc_that_is_configured_may_be_read_unless_the_machine_is_removed(machine):
    readable = machine.bmc_configuration is not None and machine.infra_machine.meta is not GOING
    assert legal(machine) & READING == (READING if readable else set())


@pytest.mark.parametrize(
    "changes",
    [{"acceptance_status": Acceptance.REJECTED}, {"acceptance_status": Acceptance.PENDING}, {"cordoned": True}],
)
def test_bmc_may_be_read_whatever_gate_holds_the_machine_back(changes):
    machine = wish(wiping(), **changes)
    assert legal(machine) == READING
    assert "Its BMC is not configured. The " in refused(replace(machine, bmc_configuration=None), Verb.BMC_TEST)


@pytest.mark.parametrize("verb", [verb for verb in Verb if verb not in READING])
@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"acceptance_status": Acceptance.REJECTED}, "rejected"),
        ({"acceptance_status": Acceptance.PENDING}, "not accepted"),
        ({"cordoned": True}, "cordoned"),
    ],
)
@pytest.mark.parametrize("record", ["kept", "lost"])
def test_closed_gate_refuses_everything_and_says_which(verb, changes, words, record):
    machine = wish(wiping(), **changes)
    if record == "kept" and verb in (Verb.ADOPT_RECORD, Verb.WIPE_RECORD):
        assert "No record is lost" in refused(machine, verb)
    else:
        assert words in refused(lost(machine) if record == "lost" else machine, verb)


@pytest.mark.parametrize("verb", Verb)
def test_machine_that_omni_does_not_know_is_refused_everything(verb):
    assert "Omni does not know the machine" in refused(replace(wiping(), infra_machine=None), verb)


@pytest.mark.parametrize("verb", [verb for verb in Verb if verb is not Verb.RETRY])
@pytest.mark.parametrize("machine", [wiping(), lost()], ids=["wipe due", "record lost"])
def test_removed_machine_is_refused_all_but_the_retry(machine, verb):
    assert "removed from Omni" in refused(wish(machine, meta=GOING), verb)


@pytest.mark.parametrize("verb", [Verb.WIPE, Verb.REBOOT, Verb.POWER_ON, Verb.POWER_OFF, Verb.PXE_ARM, Verb.RETRY])
def test_lost_record_refuses_and_names_the_command(verb):
    assert "omni-metal record MACHINE --adopt" in refused(lost(allocated(installs=1)), verb)


WORDS = {
    "wiped": (at_rest(), Verb.WIPE, 'Omni does not want it wiped: its wipe id "w1" is the one'),
    "no agent": (wiping(agent=False), Verb.WIPE, "must be wiped"),
    "agent not known": (wiping(agent=None), Verb.WIPE, "not known yet whether the agent"),
    "runs from its disk": (allocated(installs=1), Verb.REBOOT, "Omni has asked for no reboot"),
    "right mode": (wiping(), Verb.REBOOT, "runs as it should (agent-pxe)"),
    "idle": (seen(at_rest(), True, True), Verb.REBOOT, "and the machine needs none"),
    "off": (at_rest(), Verb.REBOOT, "and the machine is off"),
    "mode not known": (wiping(agent=None), Verb.REBOOT, "not known yet whether the agent"),
    "asked for while off": (wish(wiping(on=False), requested_reboot_id="r1"), Verb.REBOOT, "the power-on that is due"),
    "reboot's cooldown": (
        rebooted_ago(wiping(on=True, agent=False), 60),
        Verb.REBOOT,
        "left alone for 14 min 0 s more",
    ),
    "kept off": (
        replace(
            wish(allocated(installs=1), requested_reboot_id="r1", power_off_request_id="p1"),
            power_operation=PowerOperation(META, last_power_off_id="p1", wipe_id_at_power_off="w1"),
        ),
        Verb.REBOOT,
        'Omni powers it down (request "p1")',
    ),
    "rebooted as asked": (
        replace(wish(allocated(installs=1), requested_reboot_id="r1"), reboot_status=RebootStatus(META, "r1")),
        Verb.REBOOT,
        "Omni has asked for no reboot",
    ),
    "on in a cluster": (allocated(installs=1), Verb.POWER_ON, "It is on, as it should be: it is in a cluster"),
    "on, to be off": (seen(at_rest(), True, True), Verb.POWER_ON, "It is on already"),
    "off, prefers off": (at_rest(), Verb.POWER_ON, "Omni prefers it off"),
    "off by request": (
        wish(allocated(on=False, installs=1), power_off_request_id="p1"),
        Verb.POWER_ON,
        'Omni asked for that (request "p1")',
    ),
    "power on, not known": (allocated(on=None), Verb.POWER_ON, "The power state is not known"),
    "off in a cluster": (allocated(installs=1), Verb.POWER_OFF, "Omni wants it on: it is in a cluster"),
    "off, preferred on": (
        wish(seen(at_rest(), True, True), preferred_power_state=ON),
        Verb.POWER_OFF,
        "Omni prefers it to be on.",
    ),
    "off already": (at_rest(), Verb.POWER_OFF, "It is off already"),
    "power-off's cooldown": (
        powered_on_ago(seen(at_rest(), True, True), 60),
        Verb.POWER_OFF,
        "stays on for 14 min 0 s more",
    ),
    "power off, not known": (seen(at_rest(), None, None), Verb.POWER_OFF, "The power state is not known"),
    "boots from its disk": (allocated(installs=1), Verb.PXE_ARM, "boot from its disk (talos-disk)"),
    "nothing to retry": (at_rest(), Verb.RETRY, "Nothing is due. "),
    "record there": (at_rest(), Verb.ADOPT_RECORD, 'the disks were wiped for "w1"'),
    "record of a wipe to come": (
        replace(lost(allocated()), wipe_status=replace(at_rest().wipe_status, initial_wipe_done=False)),
        Verb.WIPE_RECORD,
        "the first wipe is still to be done",
    ),
    "never wiped": (replace(at_rest(), wipe_status=None), Verb.WIPE_RECORD, "never wiped the machine"),
    "nothing to keep": (lost(), Verb.ADOPT_RECORD, "in no cluster"),
}


@pytest.mark.parametrize(("machine", "verb", "words"), WORDS.values(), ids=WORDS)
def test_refusal_names_what_omni_wants(machine, verb, words):
    assert words in refused(machine, verb)


@pytest.mark.parametrize("verb", [Verb.REBOOT, Verb.POWER_ON, Verb.POWER_OFF, Verb.PXE_ARM, *sorted(READING)])
def test_machine_without_a_bmc_login_is_told_how_it_gets_one(verb):
    words = refused(replace(wiping(agent=False), bmc_configuration=None), verb)
    assert words.startswith("Its BMC is not configured. There is no BMC login yet")


def test_refusals_are_whole_sentences():
    for machine in [*(machine for machine, _ in LEGAL.values()), *(machine for machine, _, _ in WORDS.values())]:
        for offer in offers(machine, decided(machine)):
            assert not offer.refusal or (offer.refusal[0].isupper() and offer.refusal.endswith("."))


@pytest.mark.parametrize("name", OperationName)
def test_operation_is_due_by_its_own_rule_where_it_is_by_hand_only_else_as_decided(name):
    for machine in (at_rest(), wiping(), wiping(on=False), lost(allocated()), wish(at_rest(), meta=GOING)):
        found = due(machine, decided(machine), name)
        assert (found is None) is (decided(machine).find(name) is None) or name in BY_HAND_ONLY
        assert found is None or found.name is name


def test_each_verb_but_the_retry_does_an_operation_of_its_own():
    assert set(OPERATIONS) == set(Verb) - {Verb.RETRY}
    assert len(set(OPERATIONS.values())) == len(OPERATIONS)
