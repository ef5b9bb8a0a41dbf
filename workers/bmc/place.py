"""Where a BMC is, as one name: whoever uses it holds the lease on its place."""

from __future__ import annotations

import ipaddress

from app.machine.bmc_login import IPMI_PORT
from app.machine.model import BmcConfiguration


def place_of(configuration: BmcConfiguration) -> str:
    """Address and port. Redfish and IPMI of one address are one BMC, which counts by the port of IPMI."""
    if configuration.api_address:
        return configuration.api_address.lower()
    if configuration.ipmi is None:
        return ""
    return f"{_plain(configuration.ipmi.address)}:{configuration.ipmi.port or IPMI_PORT}"


def _plain(address: str) -> str:
    """An address in its one shortest form; a name as it is."""
    try:
        return str(ipaddress.ip_address(address))
    except ValueError:
        return address.lower()
