"""Whether machines can be told the advertise address: whose it is, and who answers there."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from app.doctor.finding import Finding, failed, ok, warning
from app.doctor.http_probe import Answer, ask
from app.doctor.site import Site
from app.omni.errors import clean
from config.addresses import is_wildcard, routable_addresses
from config.settings import Settings

OPTION = "--api-advertise-address"
ANY_PORT = 0


@dataclass(frozen=True, slots=True)
class Place:
    """The advertise address as it looks from this host.

    resolved: the addresses that it stands for; here: those of them that are this host's.
    listens: whether what listens on --api-listen-address takes what comes to it.
    routable: the addresses of this host that machines could reach.
    """

    name: str
    port: int
    resolved: tuple[str, ...]
    here: tuple[str, ...]
    listens: bool
    routable: tuple[str, ...]


def look(site: Site) -> Sequence[Finding]:
    """Resolve it, compare it with this host's addresses, and ask there."""
    settings = site.settings
    name = settings.api_advertise_address
    try:
        found = socket.getaddrinfo(name, settings.api_port, type=socket.SOCK_STREAM)
    except OSError as error:
        words = f"{name} is not known ({clean(error.strerror or str(error))})"
        return [failed(words, f"name an address of this host in {OPTION}: {_candidates(tuple(routable_addresses()))}")]
    place = place_of(settings, tuple(dict.fromkeys(str(row[4][0]) for row in found)), is_here)
    return address_findings(place, ask(name, settings.api_port, "/healthz"))


def place_of(settings: Settings, resolved: tuple[str, ...], here: Callable[[str], bool]) -> Place:
    """Compare the address with this host's. here: whether an address is this host's."""
    listen = settings.api_listen_address
    return Place(
        name=settings.api_advertise_address,
        port=settings.api_port,
        resolved=resolved,
        here=tuple(address for address in resolved if here(address)),
        listens=is_wildcard(listen) or listen in (*resolved, settings.api_advertise_address),
        routable=tuple(routable_addresses()),
    )


def is_here(address: str) -> bool:
    """Whether an address is this host's: whether one could listen on it."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((address, ANY_PORT))
        except OSError:
            return False
        return True


def address_findings(place: Place, answer: Answer) -> Sequence[Finding]:
    """What there is to say of the address. answer: what came of `/healthz` there."""
    where = f"port {place.port} of {place.name}"
    named = place.name if place.resolved == (place.name,) else f"{place.name} ({', '.join(place.resolved)})"
    if not place.here:
        return [_elsewhere(place, named, answer)]
    if answer.status and not answer.ours:
        return [failed(f"another program answers on {where}", "see what is said of the ports")]
    if not place.listens:
        words = f"machines are told {named}, and --api-listen-address takes only what comes to another address"
        return [failed(words, "make both the same, or leave --api-listen-address out to listen on all addresses")]
    if not answer.ours and not answer.refused:
        return [failed(f"we do not answer on {where}: {answer.error}", "see what is said of the ports and of web")]
    if all(ipaddress.ip_address(address).is_loopback for address in place.here):
        words = f"{named} is reached from this host alone"
        return [warning(words, f"name one that machines can reach in {OPTION}: {_candidates(place.routable)}")]
    many = f"; this host has {len(place.routable)} routable ones" if len(place.routable) > 1 else ""
    answers = "we answer there" if answer.ours else "nothing listens there yet"
    return [ok(f"{named} is this host's, {answers}{many}")]


def _elsewhere(place: Place, named: str, answer: Answer) -> Finding:
    if answer.ours:
        return ok(f"{named} is not this host's, and we answer there, as by a load balancer")
    why = "another program does" if answer.status else answer.error
    words = f"{named} is no address of this host, and we do not answer there ({why})"
    remedy = f"name one of this host's in {OPTION}: {_candidates(place.routable)}"
    behind = "one that leads here from elsewhere (load balancer, container) is right once we answer there"
    return failed(words, f"{remedy}; {behind}")


def _candidates(routable: tuple[str, ...]) -> str:
    return ", ".join(routable) if routable else "it has no routable one now"
