"""One BMC has one place, however its address is spelt: two names would be two leases."""

import pytest

from app.machine.model import BmcConfiguration, Ipmi
from workers.bmc.place import place_of


@pytest.mark.parametrize(
    ("address", "port", "place"),
    [
        ("192.0.2.1", 623, "192.0.2.1:623"),
        ("192.0.2.1", 0, "192.0.2.1:623"),
        ("fe80::1", 623, "fe80::1:623"),
        ("[FE80:0::1]", 623, "fe80::1:623"),
        ("BMC-7.Example", 664, "bmc-7.example:664"),
        ("bmc-7.example.", 664, "bmc-7.example:664"),
    ],
)
def test_ipmi_address_is_one_place(address: str, port: int, place: str) -> None:
    assert place_of(BmcConfiguration(ipmi=Ipmi(address, port, "a", "b"))) == place


@pytest.mark.parametrize(
    ("address", "place"),
    [
        ("192.0.2.1", "192.0.2.1:80"),
        ("192.0.2.1:80", "192.0.2.1:80"),
        ("192.0.2.1:8080", "192.0.2.1:8080"),
        ("Bmc.Example", "bmc.example:80"),
        ("bmc.example.:080", "bmc.example:80"),
        ("[FE80:0:0::1]:80", "fe80::1:80"),
        ("[fe80::1]", "fe80::1:80"),
        ("no/address", "no/address"),
        ("User@host", "user@host"),
    ],
)
def test_api_address_is_one_place(address: str, place: str) -> None:
    assert place_of(BmcConfiguration(api_address=address)) == place


def test_configuration_without_an_address_has_none() -> None:
    assert place_of(BmcConfiguration()) == ""
