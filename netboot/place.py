"""Where on this host netboot serves, and by which address firmware is told to come back to it."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, replace
from typing import Final

from app.errors import StartError
from config.settings import Settings
from netboot.dhcp.interface import Addresses, in_words, interface_addresses, interface_for
from netboot.dhcp.site import Site, site_of

ALL_ADDRESSES: Final = ""
LOOPBACK: Final = "lo"
_ADVERTISED: Final = "--api-advertise-address"
_REMEDY: Final = "name one with --dhcp-proxy-iface-or-ip"


@dataclass(frozen=True, slots=True)
class Place:
    """interface: where DHCP is answered; tftp_address: where TFTP listens, '' for all of this host's addresses.

    site: what firmware is told.
    told_of_another: whether the address that it is told stands on another interface of this host.
    unnamed: whether nobody has named the interface, and it was taken because there is no other.
    """

    interface: str
    tftp_address: str
    site: Site
    told_of_another: bool = False
    unnamed: bool = False

    @property
    def told_elsewhere(self) -> bool:
        """Whether firmware is told to fetch its files from an address that is not this host's."""
        return self.tftp_address != self.site.address


def place_of(settings: Settings) -> Place:
    """Find out where to serve. Raises StartError."""
    site, addresses = site_of(settings), interface_addresses()
    named = settings.dhcp_proxy_iface_or_ip
    is_own = any(site.address in of_it for of_it in addresses.values())
    interface = interface_for(named or site.address) if named or is_own else ""
    if ipaddress.ip_address(site.address).is_loopback and interface != LOOPBACK:
        raise StartError(_of_this_host_alone(settings.api_advertise_address, site.address))
    if interface:
        return choose(site, named or site.address, interface, addresses)
    interface = _only_interface(settings.api_advertise_address, addresses)
    return replace(choose(site, addresses[interface][0], interface, addresses), unnamed=True)


def choose(site: Site, wanted: str, interface: str, addresses: Addresses) -> Place:
    """Choose the addresses.

    Args:
        site: what firmware is told, by the advertise address.
        wanted: the interface that the operator named, or an address on it.
        interface: its name.
        addresses: those of this host.
    """
    here = {address for of_it in addresses.values() for address in of_it}
    if site.address in here:
        return Place(interface, site.address, site, told_of_another=site.address not in addresses[interface])
    # The advertise address is that of another host, of a balancer, or of the host around a container. DHCP and TFTP
    # are here: an address that the operator named can be told; one that stands on an interface may lead nowhere.
    if wanted in here:
        return Place(interface, wanted, Site(wanted, site.http_url))
    return Place(interface, ALL_ADDRESSES, site)


def _only_interface(advertised: str, addresses: Addresses) -> str:
    """The interface of a host that has one, for a provider that is elsewhere."""
    fit = {name: of_it for name, of_it in addresses.items() if of_it and name != LOOPBACK}
    if len(fit) == 1:
        return next(iter(fit))
    there = f"there are {in_words(fit)}" if fit else "no interface here has an IPv4 address"
    raise StartError(f"{_ADVERTISED}={advertised} is not this host's, and {there}; {_REMEDY}")


def _of_this_host_alone(advertised: str, address: str) -> str:
    if advertised == address:
        return f"{_ADVERTISED}={advertised}: is for this host alone; name the address under which machines reach us"
    return (
        f"{_ADVERTISED}={advertised}: is {address} on this host, which no machine reaches; name the address under "
        "which they do, or correct what /etc/hosts says of the name"
    )
