"""Where netboot serves, and which address firmware is told: this host's own, or the one that leads here."""

from pathlib import Path

import pytest

from app.errors import StartError
from config.settings import Settings
from netboot import place as places
from netboot.dhcp.site import Site
from netboot.place import ALL_ADDRESSES, Place, choose, place_of

HERE = {"lo": ["127.0.0.1"], "eth0": ["10.0.0.2", "10.0.0.3"], "eth1": ["10.1.0.2"], "eth2": []}
ONE = {"lo": ["127.0.0.1"], "eth0": ["10.0.0.2", "10.0.0.3"], "eth2": []}
URL = "http://10.0.0.2:50042"


@pytest.mark.parametrize(
    ("wanted", "interface", "by_another"),
    [("10.0.0.2", "eth0", False), ("eth1", "eth1", True), ("10.1.0.2", "eth1", True), ("eth2", "eth2", True)],
)
def test_advertise_address_of_this_host_is_told_and_served_on_whichever_interface_is_named(
    wanted, interface, by_another
):
    place = choose(Site("10.0.0.2", URL), wanted, interface, HERE)
    assert place == Place(interface, "10.0.0.2", Site("10.0.0.2", URL), told_of_another=by_another)
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


@pytest.fixture
def place(monkeypatch):
    """Where netboot serves on a host with these interfaces."""

    def found(here, advertised, named="", known=()):
        looked_up = dict(known).get
        monkeypatch.setattr(places, "interface_addresses", lambda: here)
        monkeypatch.setattr("netboot.dhcp.interface.interface_addresses", lambda: here)
        monkeypatch.setattr("netboot.dhcp.site._looked_up", lambda name: places.ipaddress.IPv4Address(looked_up(name)))
        return place_of(
            Settings(api_advertise_address=advertised, dhcp_proxy_iface_or_ip=named, state_dir=Path("/nowhere"))
        )

    return found


def test_interface_of_the_advertise_address_is_served_where_none_is_named(place):
    assert place(HERE, "10.1.0.2") == Place("eth1", "10.1.0.2", Site("10.1.0.2", "http://10.1.0.2:50042"))


def test_only_interface_is_served_with_its_own_address_where_the_provider_is_elsewhere(place):
    found = place(ONE, "192.0.2.7")
    assert found == Place("eth0", "10.0.0.2", Site("10.0.0.2", "http://192.0.2.7:50042"), unnamed=True)
    assert not found.told_elsewhere


def test_several_interfaces_are_named_where_the_provider_is_elsewhere(place):
    with pytest.raises(StartError) as refused:
        place(HERE, "192.0.2.7")
    said = str(refused.value)
    assert "--api-advertise-address=192.0.2.7 is not this host's" in said
    assert "eth0 (10.0.0.2 10.0.0.3), eth1 (10.1.0.2);" in said
    assert "--dhcp-proxy-iface-or-ip" in said


@pytest.mark.parametrize("here", [{"lo": ["127.0.0.1"]}, {"lo": ["127.0.0.1"], "eth0": []}])
def test_host_without_an_address_is_told_so_where_the_provider_is_elsewhere(place, here):
    with pytest.raises(StartError, match=r"no interface .* IPv4 address; name one with --dhcp-proxy-iface-or-ip"):
        place(here, "192.0.2.7")


@pytest.mark.parametrize("named", ["", "eth0", "10.0.0.2"])
def test_name_of_this_host_that_means_its_loopback_is_refused_with_the_place(place, named):
    with pytest.raises(StartError, match=r"--api-advertise-address=host: is 127\.0\.1\.1 on this host.*/etc/hosts"):
        place(ONE, "host", named, {"host": "127.0.1.1"})


@pytest.mark.parametrize(("address", "named"), [("127.0.0.1", "eth0"), ("127.0.1.1", ""), ("127.0.1.1", "eth0")])
def test_address_that_no_machine_reaches_is_refused(place, address, named):
    with pytest.raises(StartError, match=rf"--api-advertise-address={address}: is for this host alone") as refused:
        place(ONE, address, named)
    assert "/etc/hosts" not in str(refused.value)


@pytest.mark.parametrize("named", ["", "lo", "127.0.0.1"])
def test_loopback_serves_itself(place, named):
    assert place(ONE, "127.0.0.1", named) == Place("lo", "127.0.0.1", Site("127.0.0.1", "http://127.0.0.1:50042"))
