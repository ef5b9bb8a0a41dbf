import io
import json
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest

from app.machine.errors import PictureInvalid
from app.machine.explain import decision_json, explain_line, picture_json, run
from app.machine.model import (
    Acceptance,
    BmcConfiguration,
    DecideOptions,
    Facts,
    InfraMachineStatus,
    Ipmi,
    Phase,
    PowerOperation,
    PowerState,
    PreferredPowerState,
    RebootStatus,
)
from app.machine.picture_reader import read_picture
from tests.unit.machine.pictures import (
    ID,
    META,
    NOW,
    OPTIONS,
    at_rest,
    decided,
    lost,
    powered_on_ago,
    user_login,
    wiping,
    wish,
)

EXAMPLE = {
    "now": "2026-11-22T10:00:00Z",
    "options": {"min_reboot_interval_s": 900, "ipmi_pxe_boot_mode": "uefi"},
    "facts": {"powered_on": True, "agent_accessible": False},
    "infra_machine": {
        "id": ID,
        "phase": "running",
        "labels": {"a": "b"},
        "spec": {"acceptance_status": "ACCEPTED", "cluster_talos_version": "", "wipe_id": "w1"},
    },
    "bmc_config": None,
    "bmc_configuration": {"spec": {"ipmi": {"address": "10.0.0.9", "port": 623, "username": "talos-agent"}}},
    "machine_status": {"spec": {"agent_accessible": False, "power_state": "POWER_STATE_ON", "initialized": True}},
}


def line(**changes):
    return json.dumps({key: value for key, value in {**EXAMPLE, **changes}.items() if value != "missing"})


def picture(**changes):
    return read_picture(line(**changes)).machine


def spec(**fields):
    return {"id": ID, "spec": fields}


def test_example_answers_with_all_fields_in_their_order():
    answer = explain_line(line())
    assert {key: value for key, value in answer.items() if key not in ("operations", "reasons")} == {
        "id": ID,
        "boot_mode": "agent-pxe",
        "installed": False,
        "requires_wipe": True,
        "requires_pxe": True,
        "requires_power_on": True,
        "power_off_active": False,
        "ready_to_use": False,
        "gate": None,
        "wait_s": None,
    }
    [operation] = answer["operations"]
    assert (operation["name"], operation["pxe"], set(operation)) == ("reboot", True, {"name", "pxe", "reason"})
    assert operation["reason"] in answer["reasons"]


def test_operations_carry_what_belongs_to_them():
    facts = {"powered_on": True, "agent_accessible": True}
    answer = explain_line(line(facts=facts, bmc_config=spec(config={"api": {"address": "10.0.0.9:80"}})))
    assert [sorted(o) for o in answer["operations"]] == [["name", "reason", "source"], ["name", "reason"]]
    assert answer["operations"][0]["source"] == "user"


def test_wait_is_in_seconds_and_its_operation_not_in_the_list():
    answer = explain_line(line(power_operation=spec(last_power_on_timestamp="2026-11-22T09:59:30Z")))
    assert (answer["wait_s"], answer["operations"]) == (870, [])


def test_cooldown_counts_from_the_step_of_the_clock_that_the_picture_tells_of():
    facts = {"powered_on": True, "agent_accessible": False, "clock_stepped": "2026-11-22T09:59:00Z"}
    powered_on = spec(last_power_on_timestamp="2026-11-22T08:59:30Z")
    assert explain_line(line(facts=facts, power_operation=powered_on))["wait_s"] == 840


def test_refused_login_of_the_agent_is_set_anew_where_the_picture_tells_of_it():
    login = spec(ipmi={"address": "10.0.0.9", "port": 623, "username": "talos-agent"})
    facts = {"powered_on": None, "agent_accessible": True, "login_refused": True}
    answer = explain_line(line(facts=facts, bmc_configuration=login))
    assert answer["operations"][0]["name"] == "configure_bmc" and answer["operations"][0]["source"] == "agent"
    answer = explain_line(line(facts=facts | {"login_refused": False}, bmc_configuration=login))
    assert "configure_bmc" not in [operation["name"] for operation in answer["operations"]]


@pytest.mark.parametrize("gate", ["rejected", "not accepted", "cordoned", "record lost"])
def test_gate_is_named(gate):
    fields = {"acceptance_status": "ACCEPTED", "cordoned": gate == "cordoned"}
    fields["acceptance_status"] = {"rejected": "REJECTED", "not accepted": "PENDING"}.get(gate, "ACCEPTED")
    answer = explain_line(line(infra_machine=spec(**fields), infra_machine_status=spec(ready_to_use=True)))
    assert answer["gate"] == gate


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, ID),
        ({"infra_machine": None, "wipe_status": {"id": "other"}}, "other"),
        ({"infra_machine": {"spec": {}}, "reboot_status": {"id": "other"}}, "other"),
        ({"infra_machine": None}, None),
    ],
)
def test_id_is_that_of_the_infra_machine_or_of_another_resource(changes, expected):
    assert explain_line(line(**changes))["id"] == expected


@pytest.mark.parametrize(
    ("facts", "status", "powered_on", "agent"),
    [
        ("missing", None, None, False),
        ("missing", {"power_state": "ON", "agent_accessible": True}, True, True),
        ("missing", {"power_state": "OFF", "agent_accessible": True}, False, True),
        ("missing", {"power_state": "UNKNOWN"}, None, False),
        ({}, {"power_state": 2}, True, False),
        ({"powered_on": None}, {"power_state": "OFF"}, None, False),
        ({"powered_on": True}, {"power_state": "OFF"}, True, False),
        ({"agent_accessible": None}, {"agent_accessible": True}, None, None),
        ({"agent_accessible": False}, {"agent_accessible": True}, None, False),
        ({"agent_accessible": True}, None, None, True),
    ],
)
def test_facts_beat_the_machine_status_which_fills_what_is_missing(facts, status, powered_on, agent):
    found = picture(facts=facts, machine_status=status if status is None else spec(**status)).facts
    assert (found.powered_on, found.agent_accessible) == (powered_on, agent)


def test_machine_that_is_off_has_no_agent_whatever_else_says_so():
    answer = explain_line(line(facts={"powered_on": False, "agent_accessible": True}))
    assert [o["name"] for o in answer["operations"]] == ["power_on"]
    answer = explain_line(line(facts={"agent_accessible": True}, machine_status=spec(power_state="OFF")))
    assert [o["name"] for o in answer["operations"]] == ["power_on"]


@pytest.mark.parametrize(
    ("written", "expected"),
    [("ACCEPTED", 1), ("ACCEPTANCE_STATUS_ACCEPTED", 1), (1, 1), ("REJECTED", 2), (0, 0), ("PENDING", 0)],
)
def test_acceptance_is_read_by_name_prefix_or_number(written, expected):
    found = picture(infra_machine=spec(acceptance_status=written)).infra_machine
    assert found.acceptance_status == Acceptance(expected)


@pytest.mark.parametrize(
    ("written", "expected"), [("ON", 2), ("POWER_STATE_ON", 2), (2, 2), ("POWER_STATE_UNKNOWN", 0), (1, 1)]
)
def test_power_state_is_read_by_name_prefix_or_number(written, expected):
    assert picture(machine_status=spec(power_state=written)).machine_status.power_state == PowerState(expected)


@pytest.mark.parametrize(("written", "expected"), [("ON", 1), ("POWER_STATE_ON", 1), (1, 1), ("POWER_STATE_OFF", 0)])
def test_preferred_power_state_is_read_by_name_prefix_or_number(written, expected):
    found = picture(infra_machine=spec(preferred_power_state=written)).infra_machine
    assert found.preferred_power_state == PreferredPowerState(expected)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("2026-11-22T10:00:00Z", NOW),
        ("2026-11-22t10:00:00z", NOW),
        ("2026-11-22T11:30:00+01:30", NOW),
        ("2026-11-22T10:00:00.5Z", NOW + timedelta(milliseconds=500)),
        ("2026-11-22T10:00:00.123456789Z", NOW + timedelta(microseconds=123456)),
        ("0001-01-01T00:00:00Z", datetime(1, 1, 1, tzinfo=UTC)),
        (None, None),
    ],
)
def test_timestamps_are_rfc_3339(written, expected):
    assert picture(reboot_status=spec(last_reboot_timestamp=written)).reboot_status.last_reboot_timestamp == expected


@pytest.mark.parametrize(
    ("written", "expected"), [(7, 7), ("7", 7), (2**64 - 1, 2**64 - 1), (str(2**64 - 1), 2**64 - 1)]
)
def test_large_numbers_are_read_as_number_or_digits(written, expected):
    assert picture(infra_machine=spec(install_event_id=written)).infra_machine.install_event_id == expected


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"now": "missing"}, "now"),
        ({"now": None}, "now"),
        ({"now": 1}, "now"),
        ({"now": "2026-11-22"}, "now"),
        ({"now": "2026-11-22T10:00:00"}, "now"),
        ({"now": "2026-13-22T10:00:00Z"}, "now"),
        ({"now": "2026-11-22 10:00:00Z"}, "now"),
        ({"colour": 1}, "colour"),
        ({"options": {"colour": 1}}, "options.colour"),
        ({"options": {"min_reboot_interval_s": "900"}}, "options.min_reboot_interval_s"),
        ({"options": {"min_reboot_interval_s": -1}}, "options.min_reboot_interval_s"),
        ({"options": {"min_reboot_interval_s": True}}, "options.min_reboot_interval_s"),
        ({"options": {"min_reboot_interval_s": 10**400}}, "options.min_reboot_interval_s"),
        ({"options": {"ipmi_pxe_boot_mode": "legacy"}}, "options.ipmi_pxe_boot_mode"),
        ({"facts": {"powered_on": "on"}}, "facts.powered_on"),
        ({"facts": {"agent_accessible": 1}}, "facts.agent_accessible"),
        ({"facts": []}, "facts"),
        ({"infra_machine": []}, "infra_machine"),
        ({"infra_machine": {"colour": 1}}, "infra_machine.colour"),
        ({"infra_machine": {"id": 1}}, "infra_machine.id"),
        ({"infra_machine": {"phase": "tearing"}}, "infra_machine.phase"),
        ({"infra_machine": {"labels": {"a": 1}}}, "infra_machine.labels.a"),
        ({"infra_machine": {"labels": []}}, "infra_machine.labels"),
        ({"infra_machine": {"spec": None}}, "infra_machine.spec"),
        ({"infra_machine": spec(colour=1)}, "infra_machine.spec.colour"),
        ({"infra_machine": spec(wipe_id=1)}, "infra_machine.spec.wipe_id"),
        ({"infra_machine": spec(cordoned="false")}, "infra_machine.spec.cordoned"),
        ({"infra_machine": spec(cordoned=0)}, "infra_machine.spec.cordoned"),
        ({"infra_machine": spec(extensions="a")}, "infra_machine.spec.extensions"),
        ({"infra_machine": spec(extensions=["a", 1])}, r"infra_machine.spec.extensions\[1\]"),
        ({"infra_machine": spec(acceptance_status="MAYBE")}, "infra_machine.spec.acceptance_status"),
        ({"infra_machine": spec(acceptance_status=3)}, "infra_machine.spec.acceptance_status"),
        ({"infra_machine": spec(acceptance_status=True)}, "infra_machine.spec.acceptance_status"),
        ({"infra_machine": spec(install_event_id=-1)}, "infra_machine.spec.install_event_id"),
        ({"infra_machine": spec(install_event_id=2**64)}, "infra_machine.spec.install_event_id"),
        ({"infra_machine": spec(install_event_id="1.0")}, "infra_machine.spec.install_event_id"),
        ({"infra_machine": spec(install_event_id=True)}, "infra_machine.spec.install_event_id"),
        ({"infra_machine": spec(install_event_id="\u0661")}, "infra_machine.spec.install_event_id"),
        ({"bmc_config": spec(ipmi={})}, "bmc_config.spec.ipmi"),
        ({"bmc_config": spec(config={"ipmi": {"port": 2**32}})}, "bmc_config.spec.config.ipmi.port"),
        ({"bmc_config": spec(config={"api": {"url": "x"}})}, "bmc_config.spec.config.api.url"),
        ({"machine_status": spec(power_state="POWER_ON")}, "machine_status.spec.power_state"),
    ],
)
def test_wrong_pictures_are_refused_with_the_place(changes, where):
    with pytest.raises(PictureInvalid, match=where):
        explain_line(line(**changes))


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "1", "null", '{"now": NaN}', "[" * 100_000, '{"now": ' + "1" * 5000 + "}", '"\ud800"']
)
def test_broken_json_is_refused(text):
    with pytest.raises(PictureInvalid):
        explain_line(text)


@pytest.mark.parametrize("value", [12345678, ["hidden"], {"hidden": 1}])
def test_secrets_of_a_wrong_type_are_not_shown(value):
    with pytest.raises(PictureInvalid) as refused:
        explain_line(line(bmc_configuration=spec(ipmi={"password": value})))
    assert "12345678" not in str(refused.value)
    assert "hidden" not in str(refused.value)


def test_wrong_lines_are_told_by_number_and_the_rest_goes_on():
    out = io.StringIO()
    status = run([line() + "\n", "{\n", "\n", line(infra_machine=spec(colour=1)) + "\n", line()], out)
    answers = [json.loads(text) for text in out.getvalue().splitlines()]
    assert status == 1
    assert [a.get("line") for a in answers] == [None, 2, 4, None]
    assert set(answers[1]) == {"error", "line"}
    assert "infra_machine.spec.colour" in answers[2]["error"]


def test_right_lines_end_with_status_0():
    assert run([line()] * 3, io.StringIO()) == 0


def test_stream_with_a_line_that_is_no_utf_8_spoils_only_that_line():
    raw = io.BytesIO(b"\xef\xbb\xbf" + line().encode() + b"\n\xff\n" + line().encode())
    out = io.StringIO()
    assert run(io.TextIOWrapper(raw, "utf-8"), out) == 1
    answers = [json.loads(text) for text in out.getvalue().splitlines()]
    assert ["error" in a for a in answers] == [False, True, False]


def test_a_thousand_pictures_take_less_than_half_a_second_of_work():
    lines = [line()] * 1000
    before = time.process_time()
    run(lines, io.StringIO())
    assert time.process_time() - before < 0.5


PICTURES = {
    "at rest": at_rest(),
    "wiping": wiping(),
    "cooling down": powered_on_ago(wiping(agent=False), 33.123456),
    "lost": lost(),
    "removed": wish(
        at_rest(reboot_status=RebootStatus(replace(META, phase=Phase.TEARING_DOWN))),
        meta=replace(META, phase=Phase.TEARING_DOWN),
    ),
    "user": at_rest(bmc_config=user_login(ipmi=Ipmi("10.0.0.9", 0, "talos-agent", "pw"))),
    "user, in use": at_rest(
        bmc_config=user_login(ipmi=Ipmi("10.0.0.9", 0, "admin", "pw"), api_address=""),
        bmc_configuration=BmcConfiguration(META, Ipmi("10.0.0.9", 623, "admin", "pw"), "", manually_configured=True),
    ),
    "user, other password": at_rest(
        bmc_config=user_login(ipmi=Ipmi("10.0.0.9", 0, "admin", "pw")),
        bmc_configuration=BmcConfiguration(META, Ipmi("10.0.0.9", 623, "admin", "old"), manually_configured=True),
    ),
    "user, no password yet": at_rest(
        bmc_config=user_login(ipmi=Ipmi("10.0.0.9", 0, "admin", "pw")),
        bmc_configuration=BmcConfiguration(META, Ipmi("10.0.0.9", 623, "admin", ""), manually_configured=True),
    ),
    "reported": at_rest(
        infra_machine_status=InfraMachineStatus(META, PowerState.ON, True, "r1", NOW, True, "token", "p1"),
        power_operation=PowerOperation(META, PowerState.ON, NOW.astimezone(timezone(timedelta(hours=5))), "p1", "w1"),
    ),
    "unknown": replace(at_rest(), infra_machine=None),
    "the clock stepped": replace(
        powered_on_ago(wiping(agent=False), 5000),
        facts=Facts(powered_on=True, agent_accessible=False, clock_stepped=NOW - timedelta(seconds=30)),
    ),
    "the BMC refuses the login": replace(at_rest(), facts=Facts(agent_accessible=True, login_refused=True)),
}


@pytest.mark.parametrize("machine", PICTURES.values(), ids=PICTURES)
def test_picture_written_and_read_decides_the_same(machine):
    written = json.dumps(picture_json(machine, OPTIONS))
    assert explain_line(written) == decision_json(ID, decided(machine))


@pytest.mark.parametrize("machine", PICTURES.values(), ids=PICTURES)
def test_picture_written_holds_no_secret(machine):
    machine = wish(machine, node_unique_token="nut-secret") if machine.infra_machine else machine
    written = json.dumps(picture_json(machine, OPTIONS))
    for secret in ('"pw"', '"old"', '"token"', "nut-secret"):
        assert secret not in written


def test_picture_written_carries_the_options():
    options = DecideOptions(5.5, "bios")
    assert read_picture(json.dumps(picture_json(at_rest(), options))).options == options
