"""Where on this host netboot serves, and by which address firmware is told to come back to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from config.settings import Settings
from netboot.dhcp.interface import Addresses, interface_addresses, interface_for
from netboot.dhcp.site import Site, site_of

ALL_ADDRESSES: Final = ""


@dataclass(frozen=True, slots=True)
class Place:
    """interface: where DHCP is answered; tftp_address: where TFTP listens, '' for all of this host's addresses.

    site: what firmware is told.
    """

    interface: str
    tftp_address: str
    site: Site

    @property
    def told_elsewhere(self) -> bool:
        """Whether firmware is told to fetch its files from an address that is not this host's."""
        return self.tftp_address != self.site.address


def place_of(settings: Settings) -> Place:
    """Find out where to serve. Raises StartError."""
    site = site_of(settings)
    wanted = settings.dhcp_proxy_iface_or_ip or settings.api_advertise_address
    return choose(site, wanted, interface_for(wanted), interface_addresses())


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
        return Place(interface, site.address, site)
    # The advertise address is that of another host, of a balancer, or of the host around a container. DHCP and TFTP
    # are here: an address that the operator named can be told; one that stands on an interface may lead nowhere.
    if wanted in here:
        return Place(interface, wanted, Site(wanted, site.http_url))
    return Place(interface, ALL_ADDRESSES, site)
