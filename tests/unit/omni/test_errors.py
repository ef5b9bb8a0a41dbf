import grpc
import pytest

from app.omni import errors

CODE = grpc.StatusCode
CASES = [
    ("Get", CODE.NOT_FOUND, "", errors.NotFound),
    ("Get", CODE.UNAVAILABLE, "connection refused", errors.OmniUnavailable),
    ("Get", CODE.DEADLINE_EXCEEDED, "", errors.OmniUnavailable),
    ("Get", CODE.UNAUTHENTICATED, "invalid signature", errors.NotAuthenticated),
    ("Get", CODE.UNIMPLEMENTED, "", errors.InvalidRequest),
    ("Get", CODE.FAILED_PRECONDITION, "EULA was not accepted", errors.EulaNotAccepted),
    ("Update", CODE.FAILED_PRECONDITION, "the EULA is not accepted", errors.EulaNotAccepted),
    ("Create", CODE.ALREADY_EXISTS, "", errors.AlreadyExists),
    ("Create", CODE.FAILED_PRECONDITION, "validation", errors.InvalidRequest),
    ("Create", CODE.INVALID_ARGUMENT, "wrong id", errors.InvalidRequest),
    ("Create", CODE.UNKNOWN, "spec is missing", errors.InvalidRequest),
    ("Update", CODE.UNKNOWN, "Stream removed (Data frame with END_STREAM flag received)", errors.OmniUnavailable),
    ("Update", CODE.FAILED_PRECONDITION, "update conflict", errors.Conflict),
    ("Update", CODE.INVALID_ARGUMENT, "x is not in phase running", errors.PhaseConflict),
    ("Update", CODE.INVALID_ARGUMENT, "validation", errors.InvalidRequest),
    ("Update", CODE.PERMISSION_DENIED, 'x is owned by "y"', errors.OwnerConflict),
    ("Update", CODE.PERMISSION_DENIED, "only read access is permitted", errors.PermissionRefused),
    ("Destroy", CODE.FAILED_PRECONDITION, "has pending finalizers", errors.PendingFinalizers),
    ("Teardown", CODE.FAILED_PRECONDITION, "has pending finalizers", errors.PendingFinalizers),
    ("Watch", CODE.FAILED_PRECONDITION, "invalid watch bookmark", errors.OmniUnavailable),
    ("Watch", CODE.UNKNOWN, "Stream removed", errors.OmniUnavailable),
    ("Watch", CODE.PERMISSION_DENIED, "insufficient role", errors.PermissionRefused),
]


@pytest.mark.parametrize(("method", "code", "words", "expected"), CASES)
def test_code_of_a_method_means_this_error(method, code, words, expected):
    assert type(errors.error_for(method, code, words)) is expected


def test_error_says_what_was_asked_and_what_omni_said():
    error = errors.error_for("Update", CODE.FAILED_PRECONDITION, "update conflict", "wipe_status/m1")
    assert str(error) == "Update wipe_status/m1: update conflict"


def test_error_without_words_says_the_code():
    assert str(errors.error_for("Get", CODE.UNAVAILABLE, "")) == "Get: UNAVAILABLE"


def test_words_of_the_other_side_are_made_one_line_and_cut():
    error = errors.error_for("Get", CODE.UNAVAILABLE, "bad\n\x1b[31m" + "x" * 1000)
    assert error.words.startswith("bad  [31mx")
    assert len(error.words) == errors.WORDS_LIMIT
