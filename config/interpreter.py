"""How Python itself is set in a process that does nothing but many small exchanges, as found by trial."""

from __future__ import annotations

import gc
import sys

# A thread that comes back from the network waits for the interpreter up to this, at each of its round trips. Python's
# own 5 ms make a queue of threads that hardly compute three times slower.
SWITCH_INTERVAL_S = 0.0005
# Each exchange makes hundreds of objects that reference counts free again. Python's own thresholds (700, 10, 10) have
# the collector go through the whole program every few exchanges: a fifth of all that is computed.
GC_THRESHOLDS = (20_000, 50, 100)


def tune() -> None:
    """Set this process so."""
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    gc.set_threshold(*GC_THRESHOLDS)
