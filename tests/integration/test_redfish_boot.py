"""One boot from the network, ordered over Redfish from BMCs that each want to be told in another way."""

import pytest

from tests.integration.redfish_mock import SYSTEM, Answer, RedfishMock, error, first
from workers.bmc.errors import BmcAuthenticationFailed, BmcBusy, BmcNotPermitted, BmcRefused, BmcUnreachable
from workers.bmc.known import BmcKind, Known
from workers.bmc.redfish import arming, line, service, tasks

pytestmark = pytest.mark.integration

KNOWN = Known(BmcKind.REDFISH, SYSTEM)
SD = f"{SYSTEM}/SD"
ARMED = {
    "BootSourceOverrideEnabled": "Once",
    "BootSourceOverrideTarget": "Pxe",
    "BootSourceOverrideMode": "UEFI",
}
UNARMED = {
    "BootSourceOverrideEnabled": "Disabled",
    "BootSourceOverrideTarget": "None",
    "BootSourceOverrideMode": "Legacy",
}
ELSEWHERE = Answer(400, error(("Ami.1.0.OperationSupportedInFutureStateURI", "moved to FutureState URI")))


@pytest.fixture
def bmc(monkeypatch):
    for module, name in ((service, "REFUSED_PAUSE_S"), (tasks, "TASK_PAUSE_S"), (arming, "READ_BACK_PAUSE_S")):
        monkeypatch.setattr(module, name, 0.01)
    monkeypatch.setattr(line, "ANSWER_S", 0.5)
    mock = RedfishMock()
    yield mock
    mock.close()


def patches(bmc):
    return [(asked.path, asked.headers.get("If-Match"), asked.body["Boot"]) for asked in bmc.asked if asked.body]


def with_settings(bmc, boot):
    """A settings object beside the System, which shows these boot settings."""
    bmc.documents[SYSTEM]["@Redfish.Settings"] = {"SettingsObject": {"@odata.id": SD}}
    bmc.documents[SD] = {"Boot": dict(boot)}


@pytest.mark.parametrize(("mode", "named"), [("uefi", "UEFI"), ("bios", "Legacy")])
def test_order_is_one_request_and_is_read_back(bmc, mode, named):
    assert bmc.session(KNOWN).arm_pxe(mode) == ""
    assert patches(bmc) == [(SYSTEM, None, ARMED | {"BootSourceOverrideMode": named})]
    assert bmc.boot == ARMED | {"BootSourceOverrideMode": named}


def test_mode_is_not_sent_where_the_option_says_so(bmc):
    bmc.boot["BootSourceOverrideMode"] = "Legacy"
    assert bmc.session(KNOWN, redfish_set_boot_source_override_mode=False).arm_pxe("uefi") == ""
    assert bmc.boot == ARMED | {"BootSourceOverrideMode": "Legacy"}


def test_mode_is_not_sent_to_a_bmc_that_shows_none(bmc):
    del bmc.boot["BootSourceOverrideMode"]
    assert bmc.session(KNOWN).arm_pxe("uefi") == ""
    assert "BootSourceOverrideMode" not in bmc.boot


def test_mode_that_is_refused_is_left_out_and_told_where_it_is_another(bmc):
    bmc.boot["BootSourceOverrideMode"] = "Legacy"
    refusal = Answer(400, error(("iLO.2.14.PropertyNotWritableOrUnknown",)))
    bmc.hook(lambda asked: refusal if asked.body and "BootSourceOverrideMode" in asked.body["Boot"] else None)
    assert bmc.session(KNOWN).arm_pxe("uefi") == "it shows BootSourceOverrideMode Legacy"
    assert len(patches(bmc)) == 2
    assert bmc.boot == ARMED | {"BootSourceOverrideMode": "Legacy"}


def test_settings_object_with_boot_settings_gets_the_order(bmc):
    with_settings(bmc, UNARMED)
    assert bmc.session(KNOWN).arm_pxe("uefi") == ""
    assert patches(bmc) == [(SD, None, ARMED)]


def test_settings_object_for_something_else_gets_nothing(bmc):
    with_settings(bmc, {"BootOrder": ["Boot0001"]})
    assert bmc.session(KNOWN).arm_pxe("uefi") == ""
    assert patches(bmc) == [(SYSTEM, None, ARMED)]


def test_settings_object_that_is_named_and_missing_is_done_without(bmc):
    with_settings(bmc, UNARMED)
    del bmc.documents[SD]
    assert bmc.session(KNOWN).arm_pxe("uefi") == ""
    assert patches(bmc) == [(SYSTEM, None, ARMED)]


def test_ami_that_names_no_settings_object_is_told_at_sd_with_its_etag(bmc):
    bmc.documents[SD] = {"@odata.etag": 'W/"17"', "Boot": dict(UNARMED)}
    bmc.hook(lambda asked: ELSEWHERE if (asked.method, asked.path) == ("PATCH", SYSTEM) else None)
    assert bmc.session(KNOWN).arm_pxe("uefi") == ""
    assert patches(bmc) == [(SYSTEM, None, ARMED), (SD, 'W/"17"', ARMED)]
    assert bmc.boot != ARMED  # the System goes on to show what is now


@pytest.mark.parametrize(
    ("accepted", "tried"),
    [
        ('W/"a"', ['W/"a"']),
        ('"a"', ['W/"a"', '"a"']),
        (None, ['W/"a"', '"a"', None]),
        ("*", ['W/"a"', '"a"', None, "*"]),
    ],
)
@pytest.mark.parametrize("status", [412, 428])
def test_etags_are_tried_until_one_is_taken_and_the_order_is_taken_once(bmc, accepted, tried, status):
    bmc.documents[SYSTEM]["@odata.etag"] = 'W/"a"'
    taken = []

    def hook(asked):
        if asked.method != "PATCH":
            return None
        if asked.headers.get("If-Match") != accepted:
            return Answer(status)
        taken.append(asked)
        return None

    bmc.hook(hook)
    assert bmc.session(KNOWN).arm_pxe("uefi") == ""
    assert [etag for _, etag, _ in patches(bmc)] == tried
    assert len(taken) == 1


def test_etag_that_is_quoted_twice_in_the_header_is_taken_from_the_body(bmc):
    bmc.documents[SYSTEM]["@odata.etag"] = '"a"'
    bmc.hook(lambda asked: Answer(412) if asked.body and asked.headers.get("If-Match") != '"a"' else None)
    bmc.hook(
        lambda asked: (
            Answer(200, bmc.documents[SYSTEM], {"ETag": '""a""'}) if str(asked) == f"GET {SYSTEM}" else None
        )
    )
    assert bmc.session(KNOWN).arm_pxe("uefi") == ""
    assert [etag for _, etag, _ in patches(bmc)] == ['""a""', '"a"']


def test_bmc_that_takes_no_etag_at_all_is_an_error(bmc):
    bmc.hook(lambda asked: Answer(412) if asked.body else None)
    with pytest.raises(BmcRefused, match="412"):
        bmc.session(KNOWN).arm_pxe("uefi")


@pytest.mark.parametrize(
    ("answer", "kind", "executed"),
    [
        (Answer(400, error(("iLO.2.37.UnableToModifyDuringSystemPOST",))), BmcBusy, False),
        (Answer(503), BmcBusy, False),
        (Answer(403), BmcNotPermitted, False),
        (Answer(500), BmcRefused, None),
        (Answer(cut=True), BmcUnreachable, None),
        (Answer(delay_s=0.8), BmcUnreachable, None),
    ],
)
def test_bmc_that_has_no_time_or_fails_is_told_once(bmc, answer, kind, executed):
    bmc.hook(first(9, answer, "PATCH"))
    with pytest.raises(kind) as caught:
        bmc.session(KNOWN).arm_pxe("uefi")
    assert caught.value.executed is executed
    assert bmc.count("PATCH") == 1


def test_refused_login_ends_it(bmc):
    bmc.hook(first(9, Answer(401), "PATCH"))
    with pytest.raises(BmcAuthenticationFailed):
        bmc.session(KNOWN).arm_pxe("uefi")
    assert bmc.count("PATCH") == 3


def test_order_that_becomes_a_task_is_waited_for(bmc):
    def hook(asked):
        if asked.method == "PATCH":
            return Answer(202, headers={"Location": "/t"})
        if asked.path == "/t":
            bmc.boot.update(ARMED)
            return Answer(200, {"TaskState": "Completed"})
        return None

    bmc.hook(hook)
    assert bmc.session(KNOWN).arm_pxe("uefi") == ""


def test_what_is_not_shown_is_told_in_words(bmc):
    bmc.hook(first(9, Answer(204), "PATCH"))
    words = bmc.session(KNOWN).arm_pxe("uefi")
    assert words == "it shows BootSourceOverrideTarget None, BootSourceOverrideEnabled Disabled"


def test_what_is_shown_a_moment_later_is_found(bmc):
    bmc.hook(first(1, Answer(204), "PATCH"))
    looks = []

    def hook(asked):
        if str(asked) == f"GET {SYSTEM}":
            looks.append(asked)
            if len(looks) == 3:
                bmc.boot.update(ARMED)

    bmc.hook(hook)
    assert bmc.session(KNOWN).arm_pxe("uefi") == ""


def test_read_back_that_fails_is_told_in_words(bmc):
    talk = bmc.session(KNOWN)
    bmc.hook(lambda asked: Answer(503) if asked.method == "GET" and bmc.count("PATCH") else None)
    words = talk.arm_pxe("uefi")
    assert words.startswith("it cannot be read back: the BMC at 127.0.0.1:")
    assert bmc.boot == ARMED
