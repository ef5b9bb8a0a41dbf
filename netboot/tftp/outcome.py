"""How a transfer ended. A child tells it by its exit status, so that one process writes the log."""

from __future__ import annotations

from enum import IntEnum
from typing import Final


class Outcome(IntEnum):
    """Exit status of the child of a transfer."""

    SENT = 0
    BROKE = 1  # what Python itself gives
    PROBED = 10
    ENDED_BY_CLIENT = 11
    SILENT = 12
    CLIENT_GONE = 13
    NO_NETWORK = 14
    BAD_PACKET = 15
    LAST_ACK_MISSED = 16


# The client has what it asked for, as far as can be known.
DONE: Final = frozenset({Outcome.SENT, Outcome.LAST_ACK_MISSED})
WORDS: Final = {
    Outcome.BROKE: "a fault of the program",
    Outcome.PROBED: "the client asked for the size alone",
    Outcome.ENDED_BY_CLIENT: "the client ended it",
    Outcome.SILENT: "the client did not answer",
    Outcome.CLIENT_GONE: "the client has closed its port",
    Outcome.NO_NETWORK: "the system could not send",
    Outcome.BAD_PACKET: "the client sent something else than an acknowledgement",
    Outcome.LAST_ACK_MISSED: "all was sent, and the last block was not acknowledged",
}


def words_for(exit_status: int) -> str:
    """The outcome in words; also of one that no child of ours gives, such as that of a signal."""
    try:
        return WORDS[Outcome(exit_status)]
    except (KeyError, ValueError):
        return f"its process ended with status {exit_status}"
