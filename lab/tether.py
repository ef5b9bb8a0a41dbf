"""Starts a program that ends when its parent does: `python -m lab.tether PARENT_PID PROGRAM ARGUMENT…`.

A rack that is killed outright cannot stop the provider that it started, so the kernel is asked to. Where the kernel
has no such service the program runs without it.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main(argv: list[str]) -> None:
    """Ask for SIGTERM at the parent's death, and become the program."""
    parent, *command = argv
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != int(parent):
        sys.exit(1)  # it has died before the kernel was asked
    os.execv(command[0], command)  # noqa: S606 - the rack's own command line, no shell


if __name__ == "__main__":
    main(sys.argv[1:])
