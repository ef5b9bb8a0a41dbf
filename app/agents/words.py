"""What an agent says of its failures: cleaned for people, and sorted by what can be done about it.

Anyone who reaches the port may claim to be an agent, so its words are cut and freed of control characters before
they are shown, logged or stored.
"""

from __future__ import annotations

import unicodedata
from typing import Final

import grpc

from app.agents.errors import AgentError, AgentFailed, AgentGone, AgentTimeout, WipeRefused

# Enough for a wrapped error that names a disk; too little to fill a page.
LONGEST: Final = 300

# Codes by which an agent says that a wipe cannot work on this machine.
REFUSING_CODES: Final = frozenset({grpc.StatusCode.FAILED_PRECONDITION, grpc.StatusCode.INVALID_ARGUMENT})
# The same said in words: an agent that wraps the error of Talos answers UNKNOWN and leaves the code in the text.
REFUSING_TEXTS: Final = (
    "code = FailedPrecondition",
    "code = InvalidArgument",
    "is in use by disk",  # a member of a RAID, or a disk below a volume group
    "RAID member",
)
# An agent's own time limit or a merged call's end comes back as UNKNOWN with these words.
TIMEOUT_TEXTS: Final = ("context deadline exceeded",)
GONE_TEXTS: Final = ("context canceled",)

CODES: Final = {code.value[0]: code for code in grpc.StatusCode}


def clean(text: str) -> str:
    """One printable line of at most LONGEST characters."""
    cut = text[: 4 * LONGEST]
    visible = "".join(" " if unicodedata.category(c)[0] in "CZ" else c for c in cut)
    line = " ".join(visible.split())
    return line if len(line) <= LONGEST else line[: LONGEST - 1] + "…"


def failure(code: grpc.StatusCode, text: str, *, wipe: bool = False) -> AgentError:
    """The error that a status from an agent means; `wipe` where it answers the wish to wipe."""
    words = clean(text) or "no words given"
    if code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED):
        return AgentGone(words)
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return AgentTimeout(words)
    if wipe and (code in REFUSING_CODES or any(part in text for part in REFUSING_TEXTS)):
        return WipeRefused(words)
    if code is grpc.StatusCode.UNKNOWN and text.endswith(TIMEOUT_TEXTS):
        return AgentTimeout(words)
    if code is grpc.StatusCode.UNKNOWN and text.endswith(GONE_TEXTS):
        return AgentGone(words)
    return AgentFailed(f"{code.name}: {words}")


def code_of(number: int) -> grpc.StatusCode:
    """The status code of a number on the wire; an unheard-of number is UNKNOWN."""
    return CODES.get(number, grpc.StatusCode.UNKNOWN)
