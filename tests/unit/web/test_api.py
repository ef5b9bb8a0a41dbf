"""The machine API: its shapes, its filters, its orders, and no secret in any answer."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
import redis

from app.machine.explain import explain_line, picture_json
from app.machine.model import DecideOptions
from app.machine.verbs import Verb
from app.state.attempts import Attempt
from app.state.deciding import DECIDING
from app.state.history import HistoryEntry
from app.state.view import LeaseInfo
from tests.unit.web.stand_ins import JOIN_TOKEN, MACHINE_ID, NODE_TOKEN, OTHER_ID, PASSWORD, Site, picture
from workers.enqueue import OrderResult, QueueUnavailable

API = "/api/v1/machines"
ONE = f"{API}/{MACHINE_ID}"
ATTEMPT = Attempt("wipe", "abc", 5, 0, True, "WipeRefused", "sda is a RAID member", 1_795_341_600_000)
ENTRY = HistoryEntry("wipe", "abc", "task-1", 1_795_341_590_000, 1_795_341_600_000, "failed", "sda is a RAID member", 5)


def test_list_holds_each_machine_with_phase_and_sentence(site: Site) -> None:
    site.mirror.machines[OTHER_ID] = picture(OTHER_ID)
    answer = site.get(API)
    assert answer.status_code == 200
    assert answer.json["total"] == 2
    first = answer.json["machines"][0]
    assert {"id": OTHER_ID, "phase": "ready", "sentence": "ready to use"}.items() <= first.items()
    assert first["boot_mode"] == "agent-pxe"
    assert first["acceptance"] == "accepted"
    assert first["powered_on"] is True


def test_list_holds_what_firmware_calls_itself_and_the_last_operation(site: Site) -> None:
    assert site.get(API).json["machines"][0]["last"] is None
    site.views.extras[MACHINE_ID] = {"mac": "02-00-00-00-00-01", "serial": "SN77", "last": ENTRY}
    machine = site.get(API).json["machines"][0]
    assert (machine["mac"], machine["serial"]) == ("02-00-00-00-00-01", "SN77")
    assert (machine["last"]["operation"], machine["last"]["outcome"]) == ("wipe", "failed")
    assert machine["last"]["ended_at"].startswith("2026-")


def test_parked_machine_shows_operation_and_words(site: Site) -> None:
    site.views.extras[MACHINE_ID] = {"attempts": (ATTEMPT,), "phase": "parked"}
    assert site.get(API).json["machines"][0]["parked"] == ["wipe"]
    attempt = site.get(ONE).json["attempts"][0]
    assert attempt["words"] == "sda is a RAID member"
    assert attempt["count"] == 5
    assert attempt["parked"] is True
    assert attempt["next_at"] is None
    assert attempt["failed_at"].startswith("2026-")


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("phase=parked", [OTHER_ID]),
        ("phase=ready", [MACHINE_ID]),
        ("phase=none", []),
        (f"q={MACHINE_ID[:8].upper()}", [MACHINE_ID]),
        ("q=rack%3Dr7", [OTHER_ID, MACHINE_ID]),
        ("q=1111&phase=parked", [OTHER_ID]),
        ("q=1111&phase=ready", []),
    ],
)
def test_filters_choose(site: Site, query: str, found: list[str]) -> None:
    site.mirror.machines[OTHER_ID] = picture(OTHER_ID)
    site.views.extras[OTHER_ID] = {"phase": "parked"}
    assert [machine["id"] for machine in site.get(f"{API}?{query}").json["machines"]] == found


def test_unknown_filter_is_400_and_named(site: Site) -> None:
    answer = site.get(f"{API}?fase=parked")
    assert answer.status_code == 400
    assert "fase" in answer.json["error"]


def test_one_machine_holds_decision_attempts_lease_and_bmc(site: Site) -> None:
    lease = LeaseInfo("power_off", datetime(2026, 11, 22, 9, 59, tzinfo=UTC), "task-9")
    site.views.extras[MACHINE_ID] = {"lease": lease, "queued": None}
    answer = site.get(f"{API}/{MACHINE_ID.upper()}")
    assert answer.status_code == 200
    assert answer.json["id"] == MACHINE_ID
    assert answer.json["running"] == "power_off"
    assert answer.json["lease"] == {"operation": "power_off", "task_id": "task-9", "since": "2026-11-22T09:59:00+00:00"}
    assert answer.json["bmc"]["ipmi"] == {"address": "10.0.0.9", "port": 623, "username": "talos-agent"}
    assert answer.json["decision"]["ready_to_use"] is True
    assert answer.json["decision"]["reasons"]
    assert answer.json["labels"] == {"rack": "r7"}


def test_explain_holds_a_line_for_the_command_and_its_answer(site: Site) -> None:
    answer = site.get(f"{ONE}/explain")
    assert answer.status_code == 200
    assert set(answer.json) == {"picture", "decision"}
    assert answer.json["decision"]["id"] == MACHINE_ID
    assert explain_line(json.dumps(answer.json["picture"])) == answer.json["decision"]


def test_history_is_newest_first_with_times(site: Site) -> None:
    site.history.entries[MACHINE_ID] = [ENTRY]
    entry = site.get(f"{ONE}/history").json["history"][0]
    assert entry["operation"] == "wipe"
    assert entry["outcome"] == "failed"
    assert entry["words"] == "sda is a RAID member"
    assert entry["started_at"] < entry["ended_at"]


@pytest.mark.parametrize("path", ["", "/explain", "/history"])
@pytest.mark.parametrize("machine_id", [OTHER_ID, "junk", "%00"])
def test_unknown_machine_is_404_in_json(site: Site, machine_id: str, path: str) -> None:
    answer = site.get(f"{API}/{machine_id}{path}")
    assert answer.status_code == 404
    assert answer.json["error"]


def test_unknown_machine_is_not_called_so_by_an_incomplete_mirror(site: Site) -> None:
    site.mirror.is_complete = False
    answer = site.get(f"{API}/{OTHER_ID}")
    assert answer.status_code == 503
    assert answer.headers["Retry-After"]
    assert site.get(API).status_code == 503


def test_retry_begins_and_says_what(site: Site) -> None:
    answer = site.ask("POST", f"{ONE}/retry")
    assert answer.status_code == 202
    assert answer.json == {"started": ["wipe"], "skipped": ""}
    assert site.ordered == [(MACHINE_ID, "retry", "api 127.0.0.1")]


def test_retry_with_nothing_due_says_why(site: Site) -> None:
    site.order_answer = OrderResult((), "nothing is due: ready to use")
    answer = site.ask("POST", f"{ONE}/retry")
    assert answer.status_code == 200
    assert answer.json == {"started": [], "skipped": "nothing is due: ready to use"}


def test_retry_of_an_unknown_machine_is_404(site: Site) -> None:
    assert site.ask("POST", f"{API}/{OTHER_ID}/retry").status_code == 404
    assert not site.ordered


def test_retry_by_get_is_not_allowed(site: Site) -> None:
    assert site.get(f"{ONE}/retry").status_code == 405
    assert not site.ordered


def test_retry_without_a_queue_is_503(site: Site) -> None:
    site.order_answer = QueueUnavailable("cannot send wipe: ConnectionError")
    assert site.ask("POST", f"{ONE}/retry").status_code == 503


@pytest.mark.parametrize("verb", [verb.value for verb in Verb])
def test_order_of_each_verb_begins_and_says_what(site: Site, verb: str) -> None:
    answer = site.ask("POST", f"{API}/{MACHINE_ID.upper()}/{verb}")
    assert (answer.status_code, answer.json) == (202, {"started": ["wipe"], "skipped": ""})
    assert site.ordered == [(MACHINE_ID, verb, "api 127.0.0.1")]


def test_refused_order_is_200_with_the_reason(site: Site) -> None:
    site.order_answer = OrderResult((), "Omni does not want it wiped.")
    answer = site.ask("POST", f"{ONE}/wipe")
    assert (answer.status_code, answer.json) == (200, {"started": [], "skipped": "Omni does not want it wiped."})


@pytest.mark.parametrize("verb", ["explode", "RETRY", "power_on", "history"])
def test_unknown_verb_orders_nothing(site: Site, verb: str) -> None:
    answer = site.ask("POST", f"{ONE}/{verb}")
    assert answer.status_code == (405 if verb == "history" else 404)
    assert answer.json["error"]
    assert not site.ordered


def test_one_machine_says_of_each_verb_whether_it_is_legal(site: Site) -> None:
    verbs = site.get(ONE).json["verbs"]
    assert [offer["verb"] for offer in verbs] == [verb.value for verb in Verb]
    assert all(offer["legal"] is (offer["refusal"] == "") for offer in verbs)
    by_verb = {offer["verb"]: offer for offer in verbs}
    assert by_verb["power-off"]["legal"] and by_verb["retry"]["legal"]
    assert "Omni does not want it wiped" in by_verb["wipe"]["refusal"]


def test_explain_holds_the_options_that_the_watcher_decides_by(site: Site) -> None:
    site.redis.values[DECIDING] = b'{"min_reboot_interval_s": 7.0, "pxe_boot_mode": "bios"}'
    picture = site.get(f"{ONE}/explain").json["picture"]
    assert picture["options"] == picture_json(site.mirror.load(MACHINE_ID), DecideOptions(7.0, "bios"))["options"]


def test_redis_down_is_503_in_json(site: Site) -> None:
    site.mirror.error = redis.ConnectionError("connection refused")
    answer = site.get(ONE)
    assert answer.status_code == 503
    assert "Redis" in answer.json["error"]


@pytest.mark.parametrize("path", [API, ONE, f"{ONE}/explain", f"{ONE}/history"])
def test_no_answer_holds_a_secret(site: Site, path: str) -> None:
    site.history.entries[MACHINE_ID] = [ENTRY]
    text = json.dumps(site.get(path).json)
    for secret in (PASSWORD, NODE_TOKEN, JOIN_TOKEN):
        assert secret not in text
