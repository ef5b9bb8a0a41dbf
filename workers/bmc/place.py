"""Where a BMC is, as one name: whoever uses it holds the lease on its place."""

from __future__ import annotations

import ipaddress

from app.machine.bmc_login import IPMI_PORT
from app.machine.model import BmcConfiguration
from workers.bmc.exchange import AddressUnusable, host_and_port


def place_of(configuration: BmcConfiguration) -> str:
    """Address and port. Redfish and IPMI of one address are one BMC, which counts by the port of IPMI."""
    if configuration.api_address:
        return _api_place(configuration.api_address)
    if configuration.ipmi is None:
        return ""
    return f"{_plain(configuration.ipmi.address)}:{configuration.ipmi.port or IPMI_PORT}"


def _api_place(address: str) -> str:
    try:
        host, port = host_and_port(address)
    except AddressUnusable:  # nothing is ever sent to it
        return address.lower()
    return f"{_plain(host)}:{port}"


def _plain(address: str) -> str:
    """An address in its one shortest form, without brackets; a name without the dot that may end it."""
    bare = address.strip("[]")
    try:
        return str(ipaddress.ip_address(bare))
    except ValueError:
        return bare.lower().removesuffix(".")
