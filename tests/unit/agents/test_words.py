import grpc
import pytest

from app.agents.errors import AgentFailed, AgentGone, AgentTimeout, WipeRefused
from app.agents.words import LONGEST, clean, code_of, failure

Code = grpc.StatusCode


@pytest.mark.parametrize(
    ("code", "text", "wipe", "error"),
    [
        (Code.FAILED_PRECONDITION, "in use", True, WipeRefused),
        (Code.INVALID_ARGUMENT, "no such disk", True, WipeRefused),
        (Code.UNKNOWN, 'failed: rpc error: code = FailedPrecondition desc = "sda"', True, WipeRefused),
        (Code.UNKNOWN, 'blockdevice "sda" is in use by disk "md127"', True, WipeRefused),
        (Code.FAILED_PRECONDITION, "no ipmi", False, AgentFailed),
        (Code.UNKNOWN, "code = FailedPrecondition", False, AgentFailed),
        (Code.UNAVAILABLE, "gone", True, AgentGone),
        (Code.CANCELLED, "merged", True, AgentGone),
        (Code.UNKNOWN, "context canceled", True, AgentGone),
        (Code.DEADLINE_EXCEEDED, "late", True, AgentTimeout),
        (Code.UNKNOWN, "rpc error: context deadline exceeded", True, AgentTimeout),
        (Code.UNKNOWN, "input/output error", True, AgentFailed),
        (Code.INTERNAL, "error creating ipmi client", False, AgentFailed),
    ],
)
def test_status_of_an_agent_is_sorted_by_what_can_be_done(code, text, wipe, error):
    found = failure(code, text, wipe=wipe)
    assert type(found) is error
    assert text in str(found)


def test_words_are_one_printable_line_of_limited_length():
    text = clean("a\x00b\nc\x1b[31m\u202e\u2028 d" + "é" * 5000)
    assert text.isprintable()
    assert len(text) == LONGEST
    assert text.startswith("a b c [31m d")


def test_no_words_are_said_so():
    assert "no words" in str(failure(Code.UNKNOWN, "\n"))


def test_unheard_of_code_is_unknown():
    assert code_of(9) is Code.FAILED_PRECONDITION
    assert code_of(-5) is Code.UNKNOWN
    assert code_of(10**6) is Code.UNKNOWN
