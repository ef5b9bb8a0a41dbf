"""Children without the capabilities that were given to us alone, as by AmbientCapabilities of systemd.

A program has the ambient capabilities of whoever starts it, without being root or having any of its own.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from typing import Final

PR_CAP_AMBIENT: Final = 47
PR_CAP_AMBIENT_CLEAR_ALL: Final = 4


def drop_ambient_rights() -> Callable[[], None]:
    """Return a `preexec_fn`: the program that is started gets none. Elsewhere than on Linux there are none."""
    if sys.platform != "linux":
        return lambda: None
    prctl = ctypes.CDLL(None).prctl

    def in_child() -> None:
        prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)

    return in_child
