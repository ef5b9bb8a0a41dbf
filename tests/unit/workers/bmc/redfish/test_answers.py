"""Errors of Redfish in the shapes of vendors, and which of ours they are."""

import json
from dataclasses import replace

import pytest

from workers.bmc.errors import BmcAuthenticationFailed, BmcBusy, BmcNotPermitted, BmcRefused, BmcUnsupported
from workers.bmc.known import BmcKind, Known
from workers.bmc.redfish.answers import error_of, read_refusal

STRANGER = Known(BmcKind.REDFISH)


def info(message_id, message="", **more):
    return {"MessageId": message_id, "Message": message, **more}


def standard(*messages, code="Base.1.8.GeneralError"):
    return {"error": {"code": code, "message": "See ExtendedInfo", "@Message.ExtendedInfo": list(messages)}}


ILO4_OFF = {
    "Messages": [{"MessageArgs": ["Power is off"], "MessageID": "iLO.0.10.InvalidOperationForSystemState"}],
    "Type": "ExtendedError.1.0.0",
}
ILO5_POST = standard(
    {"MessageArgs": ["BootSourceOverrideTarget"], "MessageId": "iLO.2.37.UnableToModifyDuringSystemPOST"}
)
IDRAC_SOURCES = standard(
    info("IDRAC.2.8.SYS518", "iDRAC is currently unable to display any information"),
    info("Base.1.12.ServiceTemporarilyUnavailable", "The service is temporarily unavailable."),
)
IDRAC_SESSIONS = standard(info("IDRAC.2.4.RAC0218", "The maximum number of user sessions is reached."))
IDRAC_ALREADY = standard(info("IDRAC.1.6.PSU501", "Server is already powered ON."))
AMI_ELSEWHERE = {"error": {"code": "Ami.1.0.OperationSupportedInFutureStateURI", "message": "moved to FutureState URI"}}
OPENBMC_TYPE = standard(info("Base.1.8.1.ActionParameterUnknown", "The action Reset was submitted with ForceRestart."))
XCC_DENIED = standard(info("Base.1.8.AccessDenied", "the service denied access"))


def ours(status, content, known=STRANGER):
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    return error_of(read_refusal(status, body), known, "the BMC answered")


@pytest.mark.parametrize(
    ("status", "content", "kind", "executed"),
    [
        (400, ILO4_OFF, BmcRefused, False),
        (400, ILO5_POST, BmcBusy, False),
        (503, IDRAC_SOURCES, BmcBusy, False),
        (500, IDRAC_SOURCES, BmcBusy, False),
        (400, IDRAC_SESSIONS, BmcBusy, False),
        (401, IDRAC_SESSIONS, BmcBusy, False),
        (403, standard(info("Base.1.8.SessionLimitExceeded")), BmcBusy, False),
        (409, IDRAC_ALREADY, BmcRefused, False),
        (400, AMI_ELSEWHERE, BmcRefused, False),
        (400, OPENBMC_TYPE, BmcUnsupported, False),
        (403, XCC_DENIED, BmcAuthenticationFailed, False),
        (401, b"", BmcAuthenticationFailed, False),
        (403, b"<html>", BmcAuthenticationFailed, False),
        (404, b"", BmcUnsupported, False),
        (405, b"", BmcUnsupported, False),
        (501, b"", BmcUnsupported, False),
        (429, b"", BmcBusy, False),
        (503, b"<html>Service Unavailable", BmcBusy, False),
        (500, b"", BmcRefused, None),  # a fault can come after the command
        (502, standard(info("Base.1.8.InternalError", "oops")), BmcRefused, None),
        (400, [], BmcRefused, False),
        (400, {"error": "no"}, BmcRefused, False),
        (400, {"error": {"@Message.ExtendedInfo": info("Base.1.0.PropertyUnknown")}}, BmcUnsupported, False),
        (400, {"error": {"@Message.ExtendedInfo": [None, 7, {"MessageId": 3}]}}, BmcRefused, False),
        (400, b'{"a":' * 50_000, BmcRefused, False),
        (400, b"\xff\xfe", BmcRefused, False),
    ],
)
def test_error_is_named_by_what_can_be_done_about_it(status, content, kind, executed):
    error = ours(status, content)
    assert (type(error), error.executed) == (kind, executed)
    assert str(error).startswith(f"the BMC answered with {status}")


@pytest.mark.parametrize(
    ("status", "content", "kind"),
    [
        (403, b"", BmcNotPermitted),
        (403, XCC_DENIED, BmcNotPermitted),
        (401, standard(info("Base.1.8.InsufficientPrivilege")), BmcNotPermitted),
        (403, standard(info("Base.1.8.SessionLimitExceeded")), BmcBusy),
        (401, b"", BmcAuthenticationFailed),
        (404, b"", BmcUnsupported),
    ],
)
def test_login_that_was_taken_in_this_session_is_not_refused_but_may_not_do_that(status, content, kind):
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    refusal = replace(read_refusal(status, body), login_taken=True)
    error = error_of(refusal, STRANGER, "the BMC answered")
    assert (type(error), error.executed) == (kind, False)


def test_busy_message_of_one_vendor_counts_where_the_vendor_is_not_told_and_not_where_it_is_another():
    assert type(ours(400, IDRAC_SESSIONS, Known(BmcKind.REDFISH, vendor="Dell Inc."))) is BmcBusy
    assert type(ours(400, IDRAC_SESSIONS, Known(BmcKind.REDFISH, vendor="Supermicro"))) is BmcRefused


def test_words_are_those_of_the_message_that_tells_something():
    content = standard(info("Base.1.8.GeneralError", "A general error"), info("X.1.Real", "the reason"))
    assert read_refusal(400, json.dumps(content).encode()).words == "the reason"
    assert read_refusal(400, json.dumps(ILO5_POST).encode()).words == (
        "UnableToModifyDuringSystemPOST BootSourceOverrideTarget"
    )


def test_words_are_cut_and_cleaned():
    words = str(ours(400, standard(info("A.b", "x\x1b[2J\n" + "y" * 100_000))))
    assert words.startswith("the BMC answered with 400 x [2J yyy")
    assert len(words) < 400
