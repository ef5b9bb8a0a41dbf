"""Looks a BMC's name up within bounds, which the system's resolver does not know."""

from __future__ import annotations

import socket
import threading
from dataclasses import dataclass, field
from typing import Any

# A resolver that finds its servers silent may take half a minute; a BMC of which nobody knows where it is must not
# cost more than one that is silent.
LOOKUP_S = 5.0

Found = tuple[int, tuple[Any, ...]]


def look_up(name: str, port: int, kind: socket.SocketKind, within_s: float) -> list[Found]:
    """Family and address of at most one address of each family, as the resolver likes them best; [] where it has none.

    Raises:
        TimeoutError: no answer within within_s.
        OSError, UnicodeError: what the resolver raises.
    """
    lookup = _Lookup(name, port, kind)
    # A thread, or under gevent a greenlet that leaves the work to a thread.
    threading.Thread(target=lookup.run, name="bmc-lookup", daemon=True).start()
    if not lookup.done.wait(within_s):
        raise TimeoutError
    if lookup.trouble is not None:
        raise lookup.trouble
    first: dict[int, Found] = {}
    for family, address in lookup.found:
        first.setdefault(family, (family, address))
    return list(first.values())


@dataclass(slots=True)
class _Lookup:
    """One question to the resolver, whose answer may come too late for anybody to care."""

    name: str
    port: int
    kind: socket.SocketKind
    found: list[Found] = field(default_factory=list)
    trouble: OSError | UnicodeError | None = None
    done: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Ask, and note what came of it."""
        try:
            answers = socket.getaddrinfo(self.name, self.port, type=self.kind)
        except (OSError, UnicodeError) as error:  # a label of the name is empty or too long
            self.trouble = error
        else:
            self.found = [(family, address) for family, _, _, _, address in answers]
        self.done.set()
