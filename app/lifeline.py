"""Children that do not outlive us, however we end."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
from collections.abc import Callable, Iterator
from typing import Final

PR_SET_PDEATHSIG: Final = 1
PR_GET_PDEATHSIG: Final = 2


def die_with_parent(death_signal: signal.Signals) -> Callable[[], None]:
    """Return a `preexec_fn`: the kernel sends the child `death_signal` when the thread that starts it ends.

    Elsewhere than on Linux it does nothing, and a child outlives a parent that was killed with -9.
    """
    if sys.platform != "linux":
        return lambda: None
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    parent = os.getpid()

    def in_child() -> None:
        prctl(PR_SET_PDEATHSIG, int(death_signal), 0, 0, 0)
        if os.getppid() != parent:  # it ended before the line above
            os._exit(1)

    return in_child


@contextlib.contextmanager
def lifeline_kept() -> Iterator[None]:
    """Keep what `die_with_parent` has set over a change of user, with which the kernel forgets it. Linux alone."""
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    parent, death_signal = os.getppid(), ctypes.c_int()
    prctl(PR_GET_PDEATHSIG, ctypes.byref(death_signal), 0, 0, 0)
    yield
    if death_signal.value:
        prctl(PR_SET_PDEATHSIG, death_signal.value, 0, 0, 0)
        if os.getppid() != parent:  # it ended while nothing was set
            os.kill(os.getpid(), death_signal.value)
