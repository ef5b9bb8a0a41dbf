"""Which addresses this host has that a machine on the network could reach, and which ones its links have."""

from __future__ import annotations

import ipaddress
import re
import socket
from pathlib import Path

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

FIB_TRIE = Path("/proc/net/fib_trie")
IF_INET6 = Path("/proc/net/if_inet6")
# An address, and below it what is routed there: prefix length, scope and type, one a line.
_LISTED = re.compile(r"\|--\s+([0-9.]+)((?:\n\s+/\d+ .*)+)")
_ROUTE = re.compile(r"/(\d+) (\w+) (\w+)")
# A network has an address of its own and a broadcast; two hosts on a /31 leave no room for them (RFC 3021).
_POINT_TO_POINT_BITS = 31


def routable_addresses() -> list[str]:
    """Return the routable addresses of this host: IPv4, or IPv6 where there is no IPv4."""
    found = _ipv4() or _ipv6()
    return sorted({str(address) for address in found}, key=lambda text: (len(text), text))


def own_addresses() -> frozenset[Address]:
    """Return the routable addresses of this host of both families, as far as the system tells them."""
    return frozenset([*_ipv4(), *_ipv6()])


def addresses_of_links() -> frozenset[Address]:
    """Return the network and broadcast addresses of this host's IPv4 links: what is sent there is for every host."""
    found: set[Address] = set()
    for text, bits, scope, kind in _routes():
        if (scope, kind) == ("link", "BROADCAST"):
            found.add(ipaddress.IPv4Address(text))
        elif (scope, kind) == ("link", "UNICAST") and bits < _POINT_TO_POINT_BITS:
            network = ipaddress.IPv4Network(f"{text}/{bits}")
            found |= {network.network_address, network.broadcast_address}
    return frozenset(address for address in found if _is_routable(address))


def _ipv4() -> list[ipaddress.IPv4Address]:
    if FIB_TRIE.exists():
        texts = [text for text, _, scope, kind in _routes() if (scope, kind) == ("host", "LOCAL")]
    else:
        texts = _outgoing("192.0.2.1", socket.AF_INET)
    addresses = [ipaddress.IPv4Address(text) for text in texts]
    return [address for address in addresses if _is_routable(address)]


def _routes() -> list[tuple[str, int, str, str]]:
    """Return what the system's IPv4 table lists, as far as there is one: address, prefix length, scope, type."""
    table = FIB_TRIE.read_text() if FIB_TRIE.exists() else ""
    return [
        (text, int(bits), scope, kind)
        for text, routes in _LISTED.findall(table)
        for bits, scope, kind in _ROUTE.findall(routes)
    ]


def _ipv6() -> list[ipaddress.IPv6Address]:
    if IF_INET6.exists():
        texts = [bytes.fromhex(line.split()[0]) for line in IF_INET6.read_text().splitlines()]
        addresses = [ipaddress.IPv6Address(packed) for packed in texts]
    else:
        addresses = [ipaddress.IPv6Address(text) for text in _outgoing("2001:db8::1", socket.AF_INET6)]
    return [address for address in addresses if _is_routable(address)]


def _outgoing(target: str, family: socket.AddressFamily) -> list[str]:
    """Return the address that a packet to `target` would leave from; nothing is sent."""
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((target, 9))
        except OSError:
            return []
        return [str(probe.getsockname()[0])]


def _is_routable(address: Address) -> bool:
    return not (address.is_loopback or address.is_link_local or address.is_multicast or address.is_unspecified)


def split_address(text: str) -> tuple[str, int]:
    """Return host and port of ADDRESS:PORT; an IPv6 address loses its brackets."""
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port)


def is_wildcard(host: str) -> bool:
    """Return whether listening on this host means on all addresses."""
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return not host


def bracketed(host: str) -> str:
    """Return a host as it stands in a URL."""
    return f"[{host}]" if ":" in host else host
