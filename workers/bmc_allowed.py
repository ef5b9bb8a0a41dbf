"""Which addresses an agent may name as those of its machine's BMC.

Anyone who reaches the provider's port may claim to be an agent. What it names is sent our logins and commands, so it
must be an ordinary address of one host that is not one of ours, and lie in the networks that the operator allows. A
loopback address is one only where such a network lies within loopback itself: an operator tries on one host. What
a user gives in Omni, and the files of BMCs of the `api` kind, are the operator's own and not looked at here.
"""

from __future__ import annotations

import ipaddress
from typing import Final
from urllib.parse import urlsplit

from app.agents.words import clean
from config.addresses import Address, addresses_of_links, own_addresses, split_address
from config.settings import Settings
from config.values import LARGEST_PORT, Network
from workers.errors import BmcAddressMissing, BmcAddressRefused

# "This network", and what site-local addresses were until RFC 3879: no host has an address in them.
_NO_HOST: Final = (ipaddress.ip_network("0.0.0.0/8"), ipaddress.ip_network("fec0::/10"))
# 6to4 and Teredo: the packet goes to the IPv4 address that stands inside, which is looked at by nobody.
_WAYS: Final = (ipaddress.ip_network("2002::/16"), ipaddress.ip_network("2001::/32"))


def check_named(machine_id: str, address: str, port: int, settings: Settings) -> None:
    """Return if our logins may go to what the agent of a machine names.

    Args:
        machine_id: whose agent it is.
        address: of the BMC, in the agent's words.
        port: of the BMC; 0 = that of IPMI.
        settings: with the networks that are allowed, and the addresses that are ours.

    Raises:
        BmcAddressMissing: the BMC has no address, or not yet.
        BmcAddressRefused: nothing is sent to this address, or to this port.
    """
    if not address or _is_unspecified(address):
        raise BmcAddressMissing(f"the agent of {machine_id} says that its BMC has no address yet")
    reason = _objection(address, settings)
    if not reason and not 0 <= port <= LARGEST_PORT:
        reason = f"there is no port {port}"
    if reason:
        words = f"the agent of {machine_id} names {clean(address)} as its BMC, to which no login is sent: {reason}"
        raise BmcAddressRefused(words)


def _is_unspecified(text: str) -> bool:
    try:
        return ipaddress.ip_address(text).is_unspecified
    except ValueError:
        return False


def _objection(text: str, settings: Settings) -> str:
    """What speaks against an address; '' where nothing does."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return "that is no IP address"
    allowed = settings.bmc_allowed_cidrs
    reason = _no_plain_unicast(address, *(network for network in allowed if network.is_loopback))
    if reason:
        return reason
    if address in own_addresses() or address in _addresses_of(settings):
        return "it is an address of the provider itself, or of Redis or Omni"
    if address in addresses_of_links():
        return "it is the address or the broadcast of a network of this host, and no host's"
    if allowed and not any(address in network for network in allowed):
        return "it is in none of the networks of --bmc-allowed-cidrs"
    return ""


def _no_plain_unicast(address: Address, *loopback: Network) -> str:
    """What address it is instead of an ordinary one; loopback: networks of such addresses that are allowed."""
    kinds = {
        "an IPv4 address written as an IPv6 one": getattr(address, "ipv4_mapped", None) is not None,
        "bound to an interface": getattr(address, "scope_id", None) is not None,
        "a loopback address": address.is_loopback and not any(address in network for network in loopback),
        "a multicast address": address.is_multicast,
        # 169.254/16 links a host with its own BMC: from here it leads to somebody else.
        "a link-local address, which is another machine's from each host": address.is_link_local,
        "a way through an IPv4 address (6to4, Teredo)": any(address in network for network in _WAYS),
        "no address of a host": any(address in network for network in _NO_HOST)
        or (address.is_reserved and not address.is_loopback),  # ::1 is both
    }
    return next((f"it is {kind}" for kind, holds in kinds.items() if holds), "")


def _addresses_of(settings: Settings) -> frozenset[Address]:
    """Those of our own options that are addresses and not names."""
    texts = [
        settings.api_advertise_address,
        settings.api_listen_address,
        *(split_address(place)[0] for place in (settings.gateway_listen, settings.flower_listen) if place),
        *(urlsplit(url).hostname or "" for url in (settings.redis_url, settings.omni_api_endpoint)),
    ]
    return frozenset(address for address in map(_literal, texts) if address is not None)


def _literal(text: str) -> Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None
