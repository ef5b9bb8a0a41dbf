"""Where netboot serves, and which address firmware is told: this host's own, or the one that leads here."""

import pytest

from netboot.dhcp.site import Site
from netboot.place import ALL_ADDRESSES, Place, choose

HERE = {"lo": ["127.0.0.1"], "eth0": ["10.0.0.2", "10.0.0.3"], "eth1": ["10.1.0.2"], "eth2": []}
URL = "http://10.0.0.2:50042"


@pytest.mark.parametrize(
    ("wanted", "interface"), [("10.0.0.2", "eth0"), ("eth1", "eth1"), ("10.1.0.2", "eth1"), ("eth2", "eth2")]
)
def test_advertise_address_of_this_host_is_told_and_served_on_whichever_interface_is_named(wanted, interface):
    place = choose(Site("10.0.0.2", URL), wanted, interface, HERE)
    assert place == Place(interface, "10.0.0.2", Site("10.0.0.2", URL))
    assert not place.told_elsewhere


def test_second_address_of_an_interface_is_this_hosts_too():
    assert choose(Site("10.0.0.3", URL), "eth0", "eth0", HERE).tftp_address == "10.0.0.3"


def test_advertise_address_of_another_host_gives_way_to_the_address_that_is_named():
    place = choose(Site("192.0.2.7", "http://192.0.2.7:50042"), "10.1.0.2", "eth1", HERE)
    assert place == Place("eth1", "10.1.0.2", Site("10.1.0.2", "http://192.0.2.7:50042"))
    assert place.site.script_url == "http://192.0.2.7:50042/ipxe/init.ipxe"
    assert not place.told_elsewhere


def test_advertise_address_of_another_host_is_told_where_an_interface_is_named():
    place = choose(Site("192.0.2.7", URL), "eth1", "eth1", HERE)
    assert place == Place("eth1", ALL_ADDRESSES, Site("192.0.2.7", URL))
    assert place.told_elsewhere
