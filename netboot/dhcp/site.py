"""Where firmware finds us: the address and the URLs that answers hold."""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass
from typing import Final

from app.errors import StartError
from app.machine.boot import BootSettings
from config.settings import Settings
from netboot.dhcp.firmware import Firmware

_OPTION: Final = "--api-advertise-address"
# One option of a DHCP packet holds no more.
_LONGEST_URL: Final = 255


@dataclass(frozen=True, slots=True)
class Site:
    """address: our IPv4 address. http_url: where firmware reaches our HTTP port, `http://ADDRESS:PORT`."""

    address: str
    http_url: str

    @property
    def script_url(self) -> str:
        """What iPXE is to boot."""
        return f"{self.http_url}/ipxe/init.ipxe"

    def boot_file(self, firmware: Firmware) -> str:
        """What firmware is to boot: a name for TFTP, or a URL."""
        return f"{self.http_url}/tftp/{firmware.binary}" if firmware.by_http else firmware.binary


def site_of(settings: Settings) -> Site:
    """Find out the address by which firmware reaches us; a host name is looked up, once.

    Raises:
        StartError: DHCP cannot tell this address, or the name is not known.
    """
    host = settings.api_advertise_address
    boot = BootSettings(api_advertise_address=host, api_port=settings.api_port)
    site = Site(_ipv4_of(host), boot.http_url)
    longest = max(len(url) for url in (site.script_url, *map(site.boot_file, Firmware)))
    if longest > _LONGEST_URL:
        raise StartError(
            f"{_OPTION}={host}: a boot URL with it has {longest} bytes, and DHCP takes {_LONGEST_URL}; "
            "name an address, or a shorter name"
        )
    return site


def _ipv4_of(host: str) -> str:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        address = _looked_up(host)
    if not isinstance(address, ipaddress.IPv4Address):
        raise StartError(
            f"{_OPTION}={host}: the DHCP proxy can tell machines IPv4 addresses only; name one, or a host name that "
            "has one, or set --disable-dhcp-proxy"
        )
    if address.is_unspecified or address.is_multicast or address.is_reserved:
        raise StartError(f"{_OPTION}={host}: is no address of one host; name the one under which machines reach us")
    return str(address)


def _looked_up(name: str) -> ipaddress.IPv4Address:
    try:
        found = socket.getaddrinfo(name, None, socket.AF_INET, socket.SOCK_DGRAM)
    except OSError as error:
        raise StartError(
            f"{_OPTION}={name}: no IPv4 address is known of it ({error.strerror}), and the DHCP proxy must tell "
            "machines one; name an address, make the name known to this host, or set --disable-dhcp-proxy"
        ) from None
    return ipaddress.IPv4Address(found[0][4][0])
