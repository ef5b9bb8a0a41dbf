"""Where a BMC listens: an address, or a name that is looked up within bounds."""

from __future__ import annotations

import ipaddress
import socket
import threading
from dataclasses import dataclass, field

from app.agents.words import clean
from app.machine.bmc_login import IPMI_PORT
from app.machine.model import Ipmi

# A resolver that finds its servers silent may take half a minute; a BMC of which nobody knows where it is must not
# cost more than one that is silent.
LOOKUP_S = 5.0
_LONGEST_SHOWN = 100


class PlaceUnknown(Exception):
    """The address is neither an address nor a name that is known; the text says why."""


@dataclass(frozen=True, slots=True)
class Target:
    """One address to send to."""

    family: int
    sockaddr: tuple[str, int] | tuple[str, int, int, int]

    def line(self) -> socket.socket:
        """A socket that sends to it and hears nobody else."""
        line = socket.socket(self.family, socket.SOCK_DGRAM)
        try:
            line.connect(self.sockaddr)
        except BaseException:
            line.close()
            raise
        return line


def shown(ipmi: Ipmi) -> str:
    """host:port, for people."""
    host, port = clean(ipmi.address).strip("[]")[:_LONGEST_SHOWN], ipmi.port or IPMI_PORT
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def targets(ipmi: Ipmi) -> list[Target]:
    """The address, or those of the name: at most one of each family, as the resolver likes them best.

    Raises PlaceUnknown.
    """
    address, port = ipmi.address.strip("[]"), ipmi.port or IPMI_PORT
    try:
        literal = ipaddress.ip_address(address)
    except ValueError:
        return _looked_up(address, port)
    if literal.version == 6 and "%" in address:
        return _looked_up(address, port)  # the name of an interface is made a number
    return [Target(socket.AF_INET6 if literal.version == 6 else socket.AF_INET, (str(literal), port))]


def _looked_up(name: str, port: int) -> list[Target]:
    if not name:
        raise PlaceUnknown("it has no address")
    lookup = _Lookup(name, port)
    # A thread, or under gevent a greenlet that leaves the work to a thread: getaddrinfo knows no time limit.
    threading.Thread(target=lookup.run, name="ipmi-lookup", daemon=True).start()
    if not lookup.done.wait(LOOKUP_S):
        raise PlaceUnknown(f"its name is not found within {LOOKUP_S:g} s")
    first: dict[int, Target] = {}
    for target in lookup.found:
        first.setdefault(target.family, target)
    if not first:
        raise PlaceUnknown(lookup.trouble or "its name has no address")
    return list(first.values())


@dataclass(slots=True)
class _Lookup:
    """One question to the resolver, whose answer may come too late for anybody to care."""

    name: str
    port: int
    found: list[Target] = field(default_factory=list)
    trouble: str = ""
    done: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Ask, and note what came of it."""
        try:
            answers = socket.getaddrinfo(self.name, self.port, type=socket.SOCK_DGRAM)
        except (OSError, UnicodeError) as error:  # a label of the name is empty or too long
            self.trouble = f"its name is not found ({type(error).__name__})"
        else:
            self.found = [Target(family, sockaddr) for family, _, _, _, sockaddr in answers]  # type: ignore[arg-type]
        self.done.set()
