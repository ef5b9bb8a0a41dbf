"""Redfish's power commands against BMCs that misbehave: each is sent once, and what is said of it is so."""

import time

import pytest

from app.machine.model import PowerState
from tests.integration.redfish_mock import MACHINE, RESET, SYSTEM, Answer, RedfishMock, error, first
from workers.bmc.errors import (
    BmcAuthenticationFailed,
    BmcBusy,
    BmcNoSystem,
    BmcNotPermitted,
    BmcRefused,
    BmcUnreachable,
    BmcUnsupported,
)
from workers.bmc.known import BmcKind, Known
from workers.bmc.redfish import finding, line, service, session, tasks

pytestmark = pytest.mark.integration

KNOWN = Known(BmcKind.REDFISH, SYSTEM)
SYS518 = error(("IDRAC.2.8.SYS518", "data sources are unavailable"))
UNSUPPORTED = Answer(400, error(("Base.1.8.ActionParameterValueNotInList", "no such type")))


@pytest.fixture(autouse=True)
def soon(monkeypatch):
    monkeypatch.setattr(line, "ANSWER_S", 0.4)
    for module, name in ((service, "REFUSED_PAUSE_S"), (tasks, "TASK_PAUSE_S"), (session, "OFF_PAUSE_S")):
        monkeypatch.setattr(module, name, 0.01)
    monkeypatch.setattr(session, "OFF_WITHIN_S", 0.1)
    monkeypatch.setattr(tasks, "TASK_WITHIN_S", 0.5)


@pytest.fixture
def make():
    mocks = []

    def start(**options):
        mocks.append(RedfishMock(**options))
        return mocks[-1]

    yield start
    for mock in mocks:
        mock.close()


@pytest.fixture
def bmc(make):
    return make()


def list_types(bmc, *types, info=False):
    reset = bmc.documents[SYSTEM]["Actions"]["#ComputerSystem.Reset"] = {"target": RESET}
    if info:
        reset["@Redfish.ActionInfo"] = "/redfish/v1/info"
        bmc.documents["/redfish/v1/info"] = {"Parameters": [{"Name": "ResetType", "AllowableValues": list(types)}]}
    else:
        reset["ResetType@Redfish.AllowableValues"] = list(types)


def test_first_status_finds_the_system_and_the_next_asks_for_it_alone(bmc):
    talk = bmc.session()
    assert talk.power_state() is PowerState.OFF
    assert talk.known.system == SYSTEM
    bmc.power = "On"
    assert talk.power_state() is PowerState.ON
    assert [str(asked) for asked in bmc.asked] == [
        "GET /redfish/v1/", "GET /redfish/v1/Systems", f"GET {SYSTEM}", f"GET {SYSTEM}",
    ]  # fmt: skip
    assert bmc.connections == 1


def test_status_of_a_known_bmc_is_one_request(bmc):
    assert bmc.session(KNOWN).power_state() is PowerState.OFF
    assert [str(asked) for asked in bmc.asked] == [f"GET {SYSTEM}"]


def test_known_system_that_is_gone_is_looked_up_anew(bmc):
    talk = bmc.session(Known(BmcKind.REDFISH, "/redfish/v1/Systems/old"))
    assert talk.power_state() is PowerState.OFF
    assert talk.known.system == SYSTEM


def test_system_with_the_machines_uuid_is_used_among_several(bmc):
    other = {"UUID": "00000000-0000-0000-0000-000000000001", "PowerState": "On"}
    bmc.documents["/redfish/v1/Systems/0"] = other
    bmc.documents["/redfish/v1/Systems"]["Members"].insert(0, {"@odata.id": "/redfish/v1/Systems/0"})
    talk = bmc.session()
    assert (talk.power_state(), talk.known.system, talk.known.doubt) == (PowerState.OFF, SYSTEM, "")
    stranger = bmc.session(machine=MACHINE.replace("3", "4"))
    assert stranger.power_state() is PowerState.ON
    assert "first is used" in stranger.known.doubt


OTHER = MACHINE.replace("3", "9")
SECOND = "/redfish/v1/Systems/2"


def blades(bmc, *uuids):
    """So many Systems, each with a reset of its own; the answer is what each was told."""
    paths = (SYSTEM, SECOND)[: len(uuids)]
    bmc.documents["/redfish/v1/Systems"] = {"Members": [{"@odata.id": path} for path in paths]}
    for path, uuid in zip(paths, uuids, strict=True):
        reset = {"#ComputerSystem.Reset": {"target": f"{path}/reset"}}
        bmc.documents[path] = {"UUID": uuid, "PowerState": "On", "Actions": reset}
    told, bmc.power = [], "On"
    bmc.hook(lambda asked: told.append(asked.path) or Answer(204) if asked.method == "POST" else None)
    return told


def test_known_system_that_is_another_machines_by_now_is_looked_up_anew(bmc):
    told = blades(bmc, OTHER, MACHINE)
    talk = bmc.session(KNOWN)
    talk.power_off()
    assert told == [f"{SECOND}/reset"]
    assert (talk.known.system, talk.known.doubt) == (SECOND, "")


def test_only_system_that_is_another_machines_by_now_is_used_with_a_doubt(bmc):
    blades(bmc, OTHER)
    talk = bmc.session(KNOWN)
    assert talk.power_state() is PowerState.ON
    assert OTHER in talk.known.doubt
    again = bmc.session(talk.known)
    asked = len(bmc.asked)
    assert again.power_state() is PowerState.ON
    assert len(bmc.asked) == asked + 1  # not looked for each time


MATCHED = Known(BmcKind.REDFISH, SYSTEM, matched=True)


def test_system_with_the_machines_uuid_is_remembered_as_such(bmc):
    blades(bmc, OTHER, MACHINE)
    talk = bmc.session()
    talk.power_state()
    assert talk.known == Known(BmcKind.REDFISH, SECOND, matched=True)
    talk = bmc.session(machine=MACHINE.replace("3", "4"))
    talk.power_state()
    assert not talk.known.matched


@pytest.mark.parametrize("uuids", [(OTHER,), (OTHER, OTHER)])
@pytest.mark.parametrize("command", ["power_off", "power_on", "reboot", "power_state", "describe"])
def test_machine_that_is_not_at_this_bmc_any_more_is_nobody_elses(bmc, uuids, command):
    told = blades(bmc, *uuids)
    talk = bmc.session(MATCHED)
    for _ in range(2):  # nor is it forgotten by the second time
        with pytest.raises(BmcNoSystem, match="not at this BMC any more") as caught:
            getattr(talk, command)()
        assert "omni-metal bmc probe" in caught.value.hint
        assert (caught.value.executed, talk.known, told) == (False, MATCHED, [])


def test_machine_that_is_not_at_this_bmc_any_more_is_nobody_elses_after_its_system_was_forgotten(bmc):
    told = blades(bmc, OTHER)
    with pytest.raises(BmcNoSystem, match="not at this BMC any more"):
        bmc.session(matched=True).power_off()
    assert told == []


def test_machine_whose_look_up_was_lost_is_nobody_elses_afterwards(bmc):
    told = blades(bmc, OTHER)
    lost = iter([Answer(cut=True)])
    bmc.hooks.insert(0, lambda asked: next(lost, None) if asked.path == "/redfish/v1/Systems" else None)
    talk = bmc.session(MATCHED)
    for kind in (BmcUnreachable, BmcNoSystem):
        with pytest.raises(kind):
            talk.power_off()
    assert told == []


def test_machine_that_moved_within_its_bmc_is_followed_and_stays_matched(bmc):
    told = blades(bmc, OTHER, MACHINE)
    talk = bmc.session(MATCHED)
    talk.power_off()
    assert told == [f"{SECOND}/reset"]
    assert (talk.known.system, talk.known.matched) == (SECOND, True)


@pytest.mark.parametrize("uuid", ["", "00000000-0000-0000-0000-000000000000"])
def test_only_system_that_tells_no_uuid_for_now_is_still_taken_for_the_machines(bmc, uuid):
    told = blades(bmc, uuid)
    talk = bmc.session(matched=True)
    talk.power_off()
    assert told == [f"{SYSTEM}/reset"]
    assert talk.known.matched


def test_system_that_was_chosen_as_the_first_of_several_stays_so(bmc):
    told = blades(bmc, OTHER, OTHER)
    talk = bmc.session()
    talk.power_off()
    talk = bmc.session(talk.known)
    talk.power_off()
    assert told == [f"{SYSTEM}/reset"] * 2
    assert "first is used" in talk.known.doubt
    assert bmc.count("GET /redfish/v1/Systems") - bmc.count("GET /redfish/v1/Systems/") == 1


@pytest.mark.parametrize("uuid", ["", "00000000-0000-0000-0000-000000000000"])
def test_known_system_that_tells_no_uuid_for_now_is_believed_to_be_the_one(bmc, uuid):
    told = blades(bmc, OTHER, uuid)
    bmc.session(Known(BmcKind.REDFISH, SECOND)).power_off()
    assert told == [f"{SECOND}/reset"]


def test_first_of_several_is_not_used_where_the_machines_own_may_be_the_one_that_cannot_be_read(bmc):
    told = blades(bmc, OTHER, MACHINE)
    bmc.hooks.insert(0, first(1, Answer(500), f"GET {SECOND}"))
    with pytest.raises(BmcRefused, match="500") as caught:
        bmc.session().power_off()
    assert (caught.value.executed, told) == (False, [])


def test_system_that_cannot_be_read_is_passed_over_on_the_way_to_the_machines_own(bmc):
    told = blades(bmc, OTHER, MACHINE)
    bmc.hooks.insert(0, first(1, Answer(500), f"GET {SYSTEM}"))
    bmc.session().power_off()
    assert told == [f"{SECOND}/reset"]


def test_systems_on_several_pages_are_all_looked_at_and_a_circle_of_pages_ends(bmc):
    bmc.documents["/redfish/v1/Systems"] = {"Members": [], "Members@odata.nextLink": "/redfish/v1/more"}
    bmc.documents["/redfish/v1/more"] = {"Members": [], "Members@odata.nextLink": "/redfish/v1/Systems"}
    with pytest.raises(BmcNoSystem) as caught:
        bmc.session().power_state()
    assert caught.value.executed is False
    assert bmc.count("GET /redfish/v1/more") == 1
    bmc.documents["/redfish/v1/more"]["Members"] = [None, {}, {"@odata.id": SYSTEM}]
    assert bmc.session().power_state() is PowerState.OFF


def endless_systems(asked):
    return Answer(body={"UUID": OTHER}, delay_s=0.1) if asked.path.startswith("/redfish/v1/Systems/") else None


def endless_pages(asked):
    if not asked.path.startswith("/redfish/v1/Systems"):
        return None
    return Answer(body={"Members": [], "Members@odata.nextLink": f"{asked.path}s"}, delay_s=0.1)


@pytest.mark.parametrize("hook", [endless_systems, endless_pages])
@pytest.mark.parametrize("verb", ["power_state", "power_off", "describe"])
def test_search_for_the_system_ends_in_time(bmc, monkeypatch, hook, verb):
    monkeypatch.setattr(finding, "FIND_WITHIN_S", 0.5)
    members = [{"@odata.id": f"/redfish/v1/Systems/{n}"} for n in range(100)]
    bmc.documents["/redfish/v1/Systems"] = {"Members": members}
    bmc.hook(hook)
    talk, began_s = bmc.session(), time.monotonic()
    with pytest.raises(BmcUnreachable, match=r"its Systems within 0\.5 s") as caught:
        getattr(talk, verb)()
    assert time.monotonic() - began_s < 0.9
    assert caught.value.executed is False
    assert bmc.count("POST") == 0


def test_time_for_the_search_is_not_taken_from_what_comes_after(bmc, monkeypatch):
    monkeypatch.setattr(finding, "FIND_WITHIN_S", 0.2)
    talk = bmc.session()
    talk.power_state()
    time.sleep(0.25)
    talk.power_on()
    assert bmc.executed == ["On"]


def test_description_tells_the_firmware(bmc):
    bmc.documents["/redfish/v1/"] |= {"Vendor": "Dell"}
    bmc.documents[SYSTEM] |= {"Model": "R650", "Links": {"ManagedBy": [{"@odata.id": "/redfish/v1/Managers/1"}]}}
    assert bmc.session().describe().firmware == ""
    bmc.documents["/redfish/v1/Managers/1"] = {"FirmwareVersion": "7.10\n"}
    talk = bmc.session(KNOWN)
    assert talk.describe() == Known(BmcKind.REDFISH, SYSTEM, "Dell", "R650", "7.10", matched=True) == talk.known


@pytest.mark.parametrize(
    ("verb", "reset_type"), [("power_on", "On"), ("power_off", "ForceOff"), ("reboot", "ForceRestart")]
)
@pytest.mark.parametrize("fault", ["late", "cut", "500", "503", "SYS518", "429"])
def test_reset_that_is_answered_badly_is_sent_once(bmc, verb, reset_type, fault):
    bmc.power = "Off" if verb == "power_on" else "On"

    def hook(asked):
        if asked.method != "POST":
            return None
        if fault in ("late", "cut", "500"):  # carried out all the same
            bmc.executed.append(asked.body["ResetType"])
        return {
            "late": Answer(204, delay_s=0.8),
            "cut": Answer(cut=True),
            "500": Answer(500),
            "503": Answer(503),
            "SYS518": Answer(500, SYS518),
            "429": Answer(429),
        }[fault]

    bmc.hook(hook)
    kind, executed = {
        "late": (BmcUnreachable, None), "cut": (BmcUnreachable, None), "500": (BmcRefused, None),
        "503": (BmcBusy, False), "SYS518": (BmcBusy, False), "429": (BmcBusy, False),
    }[fault]  # fmt: skip
    with pytest.raises(kind) as caught:
        getattr(bmc.session(KNOWN), verb)()
    assert caught.value.executed is executed
    assert [asked.body["ResetType"] for asked in bmc.asked if asked.method == "POST"] == [reset_type]
    assert len(bmc.executed) <= 1


@pytest.mark.parametrize("fault", [Answer(500), Answer(cut=True), Answer(delay_s=0.8), Answer(body=b"no json")])
@pytest.mark.parametrize("verb", ["power_on", "power_off", "reboot"])
def test_command_is_surely_not_done_where_its_system_cannot_be_read(bmc, verb, fault):
    bmc.hook(first(1, fault, f"GET {SYSTEM}"))
    with pytest.raises((BmcRefused, BmcUnreachable)) as caught:
        getattr(bmc.session(KNOWN), verb)()
    assert caught.value.executed is False
    assert bmc.count("POST") == 0


def test_command_is_surely_not_done_where_nobody_listens(bmc):
    talk = bmc.session(KNOWN)
    bmc.close()
    bmc.close = lambda: None
    with pytest.raises(BmcUnreachable, match="cannot be reached by Redfish") as caught:
        talk.power_on()
    assert caught.value.executed is False


@pytest.mark.parametrize("status", [400, 409])
@pytest.mark.parametrize(("verb", "power"), [("power_on", "On"), ("power_off", "Off")])
def test_refusal_of_a_machine_that_is_so_already_is_success(bmc, verb, power, status):
    bmc.power = power
    bmc.hook(first(9, Answer(status, error(("IDRAC.1.6.PSU501", "already"))), "POST"))
    getattr(bmc.session(KNOWN), verb)()
    assert bmc.count("POST") == 1


@pytest.mark.parametrize(("verb", "power"), [("power_on", "Off"), ("power_off", "On")])
def test_refusal_of_a_machine_that_is_not_so_is_an_error(bmc, verb, power):
    bmc.power = power
    bmc.hook(first(9, Answer(409, error(("X.1.No", "not now"))), "POST"))
    with pytest.raises(BmcRefused, match=f"answered POST {RESET} with 409 not now") as caught:
        getattr(bmc.session(KNOWN), verb)()
    assert caught.value.executed is False
    assert bmc.count("POST") == 1


@pytest.mark.parametrize("info", [False, True])
@pytest.mark.parametrize(
    ("types", "sent"),
    [
        (("On", "ForceOff", "ForceRestart", "PowerCycle", "GracefulRestart"), ["ForceRestart"]),
        (("On", "ForceOff", "PowerCycle", "GracefulRestart"), ["PowerCycle"]),
        (("On", "ForceOff", "GracefulRestart", "GracefulShutdown", "PushPowerButton"), ["ForceOff", "On"]),
        (("ForceOn", "ForceOff"), ["ForceOff", "ForceOn"]),
    ],
)
def test_reboot_takes_the_hardest_reset_that_the_bmc_lists(bmc, types, sent, info):
    list_types(bmc, *types, info=info)
    bmc.power = "On"
    bmc.session(KNOWN).reboot()
    assert bmc.executed == sent


@pytest.mark.parametrize("verb", ["power_off", "reboot"])
def test_bmc_that_lists_graceful_resets_alone_is_told_nothing(bmc, verb):
    list_types(bmc, "On", "GracefulRestart", "GracefulShutdown", "PushPowerButton")
    with pytest.raises(BmcUnsupported, match="GracefulRestart") as caught:
        getattr(bmc.session(KNOWN), verb)()
    assert caught.value.executed is False
    assert bmc.count("POST") == 0


def test_bmc_without_a_reset_is_told_nothing(bmc):
    bmc.documents[SYSTEM]["Actions"] = None
    with pytest.raises(BmcUnsupported, match="offers no reset"):
        bmc.session(KNOWN).power_on()
    assert bmc.count("POST") == 0


def test_reset_types_that_are_not_listed_are_tried_in_turn_while_the_bmc_has_not_done_any(make):
    bmc = make(types=())
    bmc.power = "On"
    bmc.hook(first(1, UNSUPPORTED, "POST"))
    bmc.session(KNOWN).reboot()
    assert bmc.executed == ["PowerCycle"]


def test_reset_type_that_is_listed_and_refused_is_not_followed_by_another(bmc):
    bmc.power = "On"
    bmc.hook(first(1, UNSUPPORTED, "POST"))
    with pytest.raises(BmcUnsupported) as caught:
        bmc.session(KNOWN).reboot()
    assert caught.value.executed is False
    assert bmc.executed == []


def test_machine_that_is_off_is_not_powered_on_by_a_reboot(bmc):
    list_types(bmc, "On", "ForceOff")
    with pytest.raises(BmcRefused, match="as off"):
        bmc.session(KNOWN).reboot()
    assert bmc.count("POST") == 0


def test_machine_that_does_not_go_off_is_not_powered_on_again(bmc):
    list_types(bmc, "On", "ForceOff")
    bmc.power = "On"
    bmc.hook(first(9, Answer(204), "POST"))  # says yes, does nothing
    with pytest.raises(BmcRefused, match="not off after") as caught:
        bmc.session(KNOWN).reboot()
    assert caught.value.executed is None
    assert bmc.count("POST") == 1


def test_reboot_that_went_off_and_not_on_again_is_not_told_as_not_done(bmc):
    list_types(bmc, "On", "ForceOff")
    bmc.power = "On"
    bmc.hook(lambda asked: Answer(503) if asked.body == {"ResetType": "On"} else None)
    with pytest.raises(BmcBusy) as caught:
        bmc.session(KNOWN).reboot()
    assert caught.value.executed is None
    assert bmc.executed == ["ForceOff"]


@pytest.mark.parametrize("place", ["/redfish/v1/tasks/7", "https://its-own-name/redfish/v1/tasks/7"])
def test_reset_that_becomes_a_task_is_waited_for(bmc, place):
    under_way = [Answer(202), Answer(202, {"TaskState": "Running"}), Answer(200, {"TaskState": "Running"})]
    bmc.hook(first(1, Answer(202, headers={"Location": place}), "POST"))
    bmc.hook(lambda asked: under_way.pop(0) if under_way and asked.path == "/redfish/v1/tasks/7" else None)
    bmc.session(KNOWN).reboot()
    assert bmc.count("GET /redfish/v1/tasks/7") == 4  # at last it is forgotten
    assert bmc.count("POST") == 1


def test_task_that_failed_is_an_error_of_which_nobody_knows_what_it_did(bmc):
    bmc.power = "On"
    bmc.hook(first(1, Answer(202, headers={"Location": "/t"}), "POST"))
    bmc.hook(first(1, Answer(200, {"TaskState": "Exception"}), "GET /t"))
    with pytest.raises(BmcRefused, match="Exception") as caught:
        bmc.session(KNOWN).reboot()
    assert caught.value.executed is None


def test_task_without_an_end_is_not_waited_for_for_ever(bmc):
    bmc.hook(first(1, Answer(202, headers={"Location": "/t"}), "POST"))
    bmc.hook(lambda asked: Answer(202) if asked.path == "/t" else None)
    bmc.session(KNOWN).reboot()
    assert bmc.count("POST") == 1


@pytest.mark.parametrize("status", [401, 403])
def test_login_that_never_worked_is_refused_once(bmc, status):
    bmc.hook(lambda asked: Answer(status) if "Authorization" in asked.headers else None)
    with pytest.raises(BmcAuthenticationFailed) as caught:
        bmc.session().power_on()
    assert caught.value.executed is False
    assert sum("Authorization" in asked.headers for asked in bmc.asked) == 1


def test_wrong_password_is_sent_once_and_never_told(bmc):
    with pytest.raises(BmcAuthenticationFailed) as caught:
        bmc.session(password="wrong-secret").power_state()
    assert sum("Authorization" in asked.headers for asked in bmc.asked) == 1
    assert "wrong-secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("root", "login_worked", "most"),
    [({"Vendor": "HPE"}, False, 3), ({"Product": "AMI Redfish Server"}, False, 3), ({}, True, 3), ({}, False, 1)],
)
def test_login_is_refused_for_good_after_as_many_refusals_as_the_bmc_is_known_for(bmc, root, login_worked, most):
    bmc.documents["/redfish/v1/"] |= root
    bmc.hook(lambda asked: Answer(401) if "Authorization" in asked.headers else None)
    with pytest.raises(BmcAuthenticationFailed):
        bmc.session(login_worked=login_worked).power_state()
    assert sum("Authorization" in asked.headers for asked in bmc.asked) == most


@pytest.mark.parametrize("refusals", [1, 2])
def test_login_that_is_refused_now_and_then_still_resets_once(bmc, refusals):
    bmc.hook(first(refusals, Answer(401), "POST"))
    bmc.session(KNOWN).power_on()  # the status before has shown that the login works
    assert bmc.executed == ["On"]


@pytest.mark.parametrize("listed", [True, False])
@pytest.mark.parametrize("login_worked", [True, False])
@pytest.mark.parametrize("verb", ["power_on", "power_off", "reboot"])
def test_login_that_may_read_and_not_reset_is_no_refused_login(bmc, verb, login_worked, listed):
    if not listed:
        del bmc.documents[SYSTEM]["Actions"]["#ComputerSystem.Reset"]["ResetType@Redfish.AllowableValues"]
    bmc.power = "Off" if verb == "power_on" else "On"
    bmc.hook(first(9, Answer(403, error(("Base.1.8.InsufficientPrivilege", "no privilege"))), "POST"))
    with pytest.raises(BmcNotPermitted, match="no privilege") as caught:
        getattr(bmc.session(KNOWN, login_worked=login_worked), verb)()
    assert caught.value.executed is False
    assert not caught.value.parks
    assert bmc.count("POST") == 1


def test_what_the_login_may_not_read_is_no_refused_login(bmc):
    bmc.documents[SYSTEM]["Links"] = {"ManagedBy": [{"@odata.id": "/redfish/v1/Managers/1"}]}
    bmc.hook(first(9, Answer(403), "GET /redfish/v1/Managers/1"))
    assert bmc.session(KNOWN, login_worked=True).describe().firmware == ""
    assert bmc.count("GET /redfish/v1/Managers/1") == 1


def test_login_that_is_refused_three_times_resets_nothing(bmc):
    bmc.hook(first(9, Answer(401), "POST"))
    with pytest.raises(BmcAuthenticationFailed) as caught:
        bmc.session(KNOWN).power_on()
    assert caught.value.executed is False
    assert (bmc.count("POST"), bmc.executed) == (3, [])


def test_root_that_wants_a_login_is_asked_with_it(bmc):
    bmc.hook(lambda asked: Answer(401) if "Authorization" not in asked.headers else None)
    assert bmc.session().power_state() is PowerState.OFF
