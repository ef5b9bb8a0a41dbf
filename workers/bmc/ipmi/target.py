"""Where a BMC listens: an address, or a name that is looked up within bounds."""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass

from app.agents.words import clean
from app.machine.bmc_login import IPMI_PORT
from app.machine.model import Ipmi
from workers.bmc.lookup import LOOKUP_S, look_up

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
    try:
        found = look_up(name, port, socket.SOCK_DGRAM, LOOKUP_S)
    except TimeoutError:
        raise PlaceUnknown(f"its name is not found within {LOOKUP_S:g} s") from None
    except (OSError, UnicodeError) as error:
        raise PlaceUnknown(f"its name is not found ({type(error).__name__})") from None
    if not found:
        raise PlaceUnknown("its name has no address")
    return [Target(family, address) for family, address in found]
