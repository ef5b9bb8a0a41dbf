"""Which processes on this host are the provider's own, by their command lines."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from app.ports import command_of


def own_process(command: Sequence[str]) -> str:
    """Which process of ours has this command line: `web`, `run`, …; '' for a program of somebody else."""
    for index, word in enumerate(command[:-1]):
        if word == "app.cli" or word.rpartition("/")[2] == "omni-metal":
            return command[index + 1]
    return ""


def run_of(state_dir: Path) -> int | None:
    """The process of the `omni-metal run` that uses this state directory; None: none does."""
    try:
        holder = (state_dir / "lock").read_text().strip()
    except OSError:
        return None
    # The number in the file outlives its process, and may be another's by now.
    return int(holder) if holder.isdecimal() and own_process(command_of(int(holder))) == "run" else None
