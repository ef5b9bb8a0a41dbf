"""What peers say, fit for the log."""

from __future__ import annotations

from typing import Final

# Enough to know a name or a client by.
MOST_SHOWN: Final = 60


def shown(said: str) -> str:
    """The beginning of a text that a peer sent, in one line of printable ASCII: other characters by their escapes."""
    return ascii(said[:MOST_SHOWN])[1:-1][:MOST_SHOWN]
