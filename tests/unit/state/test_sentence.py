"""The one sentence about a machine, and its phase: failed attempts that nobody makes again are not said to be."""

import json
from dataclasses import asdict

import fakeredis
import pytest

from app.machine.decide import operation_id
from app.machine.model import Acceptance, Operation, OperationName, PowerState
from app.machine.sentences import remedied
from app.omni.kinds import Kind
from app.state.attempts import Attempt, attempts_key
from app.state.bmc_notes import LOGIN_UNUSABLE, BmcTrouble, trouble_text
from app.state.connection import now_ms
from app.state.history import History, HistoryEntry
from app.state.lease import Leases
from app.state.mirror import Mirror
from app.state.power import PowerNotes
from app.state.secrets import sealer
from app.state.view import Views
from app.web.schemas import MachineDetailSchema
from config.settings import Settings
from tests.unit.omni_in_memory import InMemoryOmni
from workers.bmc.errors import BmcLoginUnusable

MACHINE = "4c4c4544-0042-3510-8051-b4c04f573332"
BMC = "192.0.2.1:80"


class Site:
    """A machine that runs Talos from its disk in a cluster."""

    def __init__(self, folder):
        settings = Settings(omni_api_endpoint="http://192.0.2.9", api_advertise_address="192.0.2.8", state_dir=folder)
        self.redis, self.omni = fakeredis.FakeRedis(), InMemoryOmni()
        self.mirror = Mirror(self.redis, sealer(settings))
        self.give(
            Kind.INFRA_MACHINE,
            acceptance_status=Acceptance.ACCEPTED.value,
            cluster_talos_version="1.13.7",
            install_event_id=1,
        )
        self.give(Kind.WIPE_STATUS, initial_wipe_done=True)
        self.give(Kind.MACHINE_STATUS, initialized=True)
        bmc = self.omni.update(
            Kind.BMC_CONFIGURATION, MACHINE, lambda d: setattr(d.spec.api, "address", BMC), create=True
        )
        self.mirror.put(bmc)
        self.views = Views(self.redis, sealer(settings), settings)
        self.read(PowerState.ON)

    def give(self, kind, **fields):
        self.mirror.put(self.omni.give(kind, MACHINE, **fields))

    def read(self, state):
        PowerNotes(self.redis).observed_at(MACHINE, state, now_ms(self.redis))

    def fails(self, operation, *, parked=False, cause="gone", words="no answer"):
        next_ms = 0 if parked else now_ms(self.redis) + 5_000
        attempt = Attempt(operation, cause, 1, next_ms, parked, "BmcUnreachable", words, now_ms(self.redis))
        self.redis.hset(attempts_key(MACHINE), operation, json.dumps(asdict(attempt)))

    def bmc_fails(self, words, error="BmcUnreachable"):
        self.read(PowerState.UNKNOWN)
        trouble = BmcTrouble(now_ms(self.redis), False, words, error, "Mend it", place=BMC)
        self.redis.hset(f"om:m:{MACHINE}", "f:bmc-trouble", trouble_text(trouble))

    def reboots(self, reboot_id):
        """The reboot stands recorded, and its attempt fails."""
        wish = self.omni.stored[Kind.INFRA_MACHINE, MACHINE].spec
        kept = {
            "acceptance_status": wish.acceptance_status,
            "cluster_talos_version": wish.cluster_talos_version,
            "install_event_id": wish.install_event_id,
        }
        self.give(Kind.INFRA_MACHINE, **kept, requested_reboot_id=reboot_id)

        def record(draft):
            draft.spec.last_reboot_id = reboot_id
            draft.spec.last_reboot_timestamp.FromMilliseconds(now_ms(self.redis) - 60_000)

        self.mirror.put(self.omni.update(Kind.REBOOT_STATUS, MACHINE, record, create=True))
        cause = operation_id(MACHINE, Operation(OperationName.REBOOT, "", cause=("requested", reboot_id)))
        self.fails("reboot", cause=cause)
        now = now_ms(self.redis)
        self.history(HistoryEntry("reboot", cause, "t", now - 61_000, now - 50_000, "failed", "no answer", 1))

    def history(self, entry):
        History(self.redis).add(MACHINE, entry)

    def seen(self):
        return self.views.one(MACHINE)


@pytest.fixture
def site(tmp_path):
    return Site(tmp_path)


def test_attempt_at_what_is_due_is_said_to_be_made_again(site):
    site.read(PowerState.OFF)
    cause = {o.name: operation_id(MACHINE, o) for o in site.seen().decision.operations}[OperationName.POWER_ON]
    site.fails("power_on", cause=cause)
    assert site.seen().sentence == "power_on is tried again after 1 failed attempt: no answer"
    assert MachineDetailSchema().dump(site.seen())["attempts"][0]["next_at"]


def test_attempt_at_what_is_not_due_is_not_said_to_be_made_again(site):
    site.fails("reboot", words="no answer.")
    view = site.seen()
    assert not view.decision.operations
    assert view.sentence.startswith("reboot has failed (1 failed attempt), and is not due now: no answer. ")
    assert view.sentence.endswith(view.decision.reasons[-1])
    assert MachineDetailSchema().dump(view)["attempts"][0]["next_at"] is None


def test_parked_attempt_is_said_to_be_whether_it_is_due_or_not(site):
    site.fails("power_off", parked=True)
    assert site.seen().sentence.startswith("power_off is parked after 1 failed attempt")


def test_bmc_that_cannot_be_read_is_told_rather_than_what_is_not_due_for_it(site):
    site.fails("power_on")
    site.bmc_fails("nobody answers")
    assert site.seen().sentence.startswith("Its power is not known: the BMC cannot be read since ")


def test_attempt_at_what_is_due_comes_before_one_at_what_is_not(site):
    site.read(PowerState.OFF)
    cause = {o.name: operation_id(MACHINE, o) for o in site.seen().decision.operations}[OperationName.POWER_ON]
    site.fails("configure_bmc")
    site.fails("power_on", cause=cause)
    assert site.seen().sentence.startswith("power_on is tried again")


def test_reboot_that_stands_recorded_and_got_no_answer_is_told_with_the_remedy_and_not_as_tried_again(site):
    site.reboots("r1")
    view = site.seen()
    assert view.sentence.startswith("reboot has failed (1 failed attempt), and is not due now: no answer. ")
    assert '"r1"' in view.unended_reboot and view.unended_reboot.endswith("Ask for another if it was not.")
    now = now_ms(site.redis)
    for operation in ("bmc_test", "bmc_probe"):
        site.history(HistoryEntry(operation, "", "t2", now - 5, now, "done", "", 1))
    assert site.seen().unended_reboot == view.unended_reboot
    Leases(site.redis).take(MACHINE, "power_off", "t3")
    assert site.seen().unended_reboot == ""


def test_login_that_cannot_be_used_parks_the_machine_like_a_refused_one(site):
    site.bmc_fails("too long", "BmcUnreachable")
    assert site.seen().phase != "parked"
    site.bmc_fails("too long", BmcLoginUnusable.__name__)
    assert BmcLoginUnusable.__name__ == LOGIN_UNUSABLE
    assert site.seen().phase == "parked"
    assert ": the BMC cannot be spoken to with its login since " in site.seen().sentence


@pytest.mark.parametrize(
    ("cause", "said"),
    [
        ("no", "no. Do so"),
        ("missing or invalid.", "missing or invalid. Do so"),
        ("wait.. ", "wait. Do so"),
        ("Why?", "Why? Do so"),
    ],
)
def test_remedy_follows_a_cause_after_one_full_stop(cause, said):
    assert remedied(cause, "Do so") == said
    assert remedied(cause, "") == cause


def test_words_of_a_bmc_that_end_with_a_full_stop_get_no_second_one(site):
    assert BmcTrouble(1, False, "no.", hint="Do so").told == "no. Do so"
    site.bmc_fails("It says no.")
    assert "It says no. Mend it" in site.seen().sentence
    assert BmcLoginUnusable("no.").words().startswith("no. IPMI")
