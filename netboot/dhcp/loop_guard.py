"""Remembers which old iPXE got our binary, so that none is given it again and again.

An iPXE in a network card that does not say that it can HTTP is given our own binary, which can. Where that is no
better, it would come back and be given it for ever; so the second time it is given the script. Where our binary runs,
it was better, and the machine's next boot begins anew.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

# Loading our binary, starting it and asking again takes a minute on slow hardware; after five it is another boot.
BINARY_KNOWN_S: Final = 300.0
# iPXE repeats a DISCOVER for half a minute. Old ones derive the transaction id from the MAC, and come back with it.
ATTEMPT_S: Final = 60.0
# More machines than boot at once on one segment, in less than a megabyte, whoever invents MACs.
MOST_MACHINES: Final = 4096


@dataclass(frozen=True, slots=True)
class _Attempt:
    """One try of a machine to boot: all its packets have one transaction id, and get one answer."""

    xid: int
    began_s: float
    binary_s: float
    script: bool


class LoopGuard:
    """The old iPXEs of the last minutes. clock: gives seconds that only rise."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._attempts: OrderedDict[str, _Attempt] = OrderedDict()

    def wants_script(self, mac: str, xid: int) -> bool:
        """Whether this attempt gets the script: our binary was given in another one, less than five minutes ago."""
        now_s = self._clock()
        last = self._attempts.get(mac)
        if last and last.xid == xid and now_s - last.began_s < ATTEMPT_S:
            return last.script
        script = last is not None and now_s - last.binary_s < BINARY_KNOWN_S
        binary_s = last.binary_s if last and script else now_s
        self._attempts[mac] = _Attempt(xid, now_s, binary_s, script)
        self._attempts.move_to_end(mac)
        if len(self._attempts) > MOST_MACHINES:
            self._attempts.popitem(last=False)
        return script

    def forget(self, mac: str) -> None:
        """Know no more of a machine on which an iPXE that can HTTP runs."""
        self._attempts.pop(mac, None)

    @property
    def machines(self) -> int:
        """How many are remembered."""
        return len(self._attempts)
