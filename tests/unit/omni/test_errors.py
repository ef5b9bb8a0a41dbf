import grpc
import pytest

from app.omni import errors
from app.omni.errors import AccountRefused, OmniError, OmniUnavailable
from app.omni.status import error_for

CODE = grpc.StatusCode
NOT_REGISTERED = 'infra provider with name "bare-metal" is not registered in the system'
HTTP_404 = "Received http2 header with status: 404"
CASES = [
    ("Get", CODE.NOT_FOUND, "", errors.NotFound),
    ("Get", CODE.UNAVAILABLE, "connection refused", errors.OmniUnavailable),
    ("Get", CODE.DEADLINE_EXCEEDED, "", errors.OmniUnavailable),
    ("Get", CODE.UNAUTHENTICATED, "invalid signature", errors.NotAuthenticated),
    ("Get", CODE.UNIMPLEMENTED, HTTP_404, errors.NotOmni),
    ("Get", CODE.PERMISSION_DENIED, "Received http2 header with status: 403", errors.NotOmni),
    ("Watch", CODE.UNKNOWN, "Received http2 header with status: 500", errors.NotOmni),
    ("Get", CODE.UNAVAILABLE, "Received http2 header with status: 502", errors.OmniUnavailable),
    ("Get", CODE.FAILED_PRECONDITION, "EULA was not accepted", errors.EulaNotAccepted),
    ("List", CODE.FAILED_PRECONDITION, "in words of a later version", errors.EulaNotAccepted),
    ("Watch", CODE.FAILED_PRECONDITION, "in words of a later version", errors.EulaNotAccepted),
    ("Create", CODE.FAILED_PRECONDITION, "the end user license agreement", errors.EulaNotAccepted),
    ("Update", CODE.FAILED_PRECONDITION, "the EULA is not accepted", errors.EulaNotAccepted),
    ("Destroy", CODE.FAILED_PRECONDITION, "the EULA is not accepted", errors.EulaNotAccepted),
    ("Create", CODE.ALREADY_EXISTS, "", errors.AlreadyExists),
    ("Create", CODE.NOT_FOUND, "", errors.NotFound),
    ("Create", CODE.FAILED_PRECONDITION, "validation", errors.InvalidRequest),
    ("Create", CODE.INVALID_ARGUMENT, "wrong id", errors.InvalidRequest),
    ("Create", CODE.UNKNOWN, "spec is missing", errors.InvalidRequest),
    ("Create", CODE.UNKNOWN, "error parsing version", errors.InvalidRequest),
    ("Create", CODE.UNKNOWN, "owner is already set", errors.InvalidRequest),
    ("Update", CODE.UNKNOWN, "unknown phase", errors.InvalidRequest),
    ("Update", CODE.UNKNOWN, "etcdserver: request timed out", errors.OmniUnavailable),
    ("Get", CODE.UNKNOWN, "etcdserver: leader changed", errors.OmniUnavailable),
    ("Update", CODE.UNKNOWN, "Stream removed (Data frame with END_STREAM flag received)", errors.OmniUnavailable),
    ("Update", CODE.FAILED_PRECONDITION, "update conflict", errors.Conflict),
    ("Update", CODE.NOT_FOUND, "", errors.NotFound),
    ("Update", CODE.INVALID_ARGUMENT, "x is not in phase running", errors.PhaseConflict),
    ("Update", CODE.INVALID_ARGUMENT, "validation", errors.InvalidRequest),
    ("Update", CODE.PERMISSION_DENIED, 'x is owned by "y"', errors.OwnerConflict),
    ("Update", CODE.PERMISSION_DENIED, "only read access is permitted", errors.PermissionRefused),
    ("Destroy", CODE.FAILED_PRECONDITION, "has pending finalizers", errors.PendingFinalizers),
    ("Teardown", CODE.FAILED_PRECONDITION, "has pending finalizers", errors.PendingFinalizers),
    ("Destroy", CODE.PERMISSION_DENIED, 'x is owned by "y"', errors.OwnerConflict),
    ("Teardown", CODE.PERMISSION_DENIED, 'x is owned by "y"', errors.OwnerConflict),
    ("Destroy", CODE.NOT_FOUND, "", errors.NotFound),
    ("Teardown", CODE.NOT_FOUND, "", errors.NotFound),
    ("Watch", CODE.FAILED_PRECONDITION, "invalid watch bookmark", errors.WatchEnded),
    ("Watch", CODE.UNKNOWN, "Stream removed (Data frame with END_STREAM flag received)", errors.WatchEnded),
    ("Watch", CODE.UNAVAILABLE, "Socket closed", errors.OmniUnavailable),
    ("Watch", CODE.PERMISSION_DENIED, "insufficient role", errors.RoleInsufficient),
    ("Watch", CODE.UNAUTHENTICATED, "invalid signature", errors.NotAuthenticated),
    ("Get", CODE.PERMISSION_DENIED, NOT_REGISTERED, errors.NotRegistered),
    ("Update", CODE.PERMISSION_DENIED, NOT_REGISTERED, errors.NotRegistered),
    ("Update", CODE.PERMISSION_DENIED, "insufficient role: Operator", errors.RoleInsufficient),
    ("Create", CODE.PERMISSION_DENIED, "no access is permitted", errors.RoleInsufficient),
    ("Create", CODE.PERMISSION_DENIED, "is not allowed in namespace", errors.RoleInsufficient),
    ("Get", CODE.PERMISSION_DENIED, "in words of a later version", errors.RoleInsufficient),
    ("Update", CODE.PERMISSION_DENIED, "in words of a later version", errors.PermissionRefused),
]


@pytest.mark.parametrize(("method", "code", "words", "expected"), CASES)
def test_code_of_a_method_means_this_error(method, code, words, expected):
    assert type(error_for(method, code, words)) is expected


def _all(base):
    return [base, *(found for each in base.__subclasses__() for found in _all(each))]


def test_each_error_has_a_code_of_its_own():
    codes = {kind: kind.code for kind in _all(OmniError)}
    assert len(set(codes.values())) == len(codes)
    assert all(code and code == code.lower() and " " not in code for code in codes.values())


def test_whatever_keeps_the_provider_from_working_has_a_remedy():
    bare = [kind for base in (OmniUnavailable, AccountRefused) for kind in _all(base) if not kind.hint]
    assert bare == [AccountRefused]  # of which there is only what is more precise


def test_error_says_what_was_asked_and_what_omni_said():
    error = error_for("Update", CODE.FAILED_PRECONDITION, "update conflict", "wipe_status/m1")
    assert str(error) == "Update wipe_status/m1: update conflict"


def test_error_without_words_says_the_code():
    assert str(error_for("Get", CODE.UNAVAILABLE, "")) == "Get: UNAVAILABLE"


def test_words_of_the_other_side_are_made_one_line_and_cut():
    error = error_for("Get", CODE.UNAVAILABLE, "bad\n\x1b[31m" + "x" * 1000)
    assert error.words.startswith("bad  [31mx")
    assert len(error.words) == errors.WORDS_LIMIT
