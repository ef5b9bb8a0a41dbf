"""The address and the URLs that answers hold."""

import socket
from pathlib import Path

import pytest

from app.errors import StartError
from config.settings import Settings
from netboot.dhcp.firmware import Firmware
from netboot.dhcp.site import Site, site_of


def settings(host):
    return Settings(api_advertise_address=host, api_port=50_099, state_dir=Path("/nowhere"))


@pytest.fixture
def names(monkeypatch):
    """The host names that are known, with their addresses."""
    known = {}

    def look_up(name, _port, family, *_):
        assert family == socket.AF_INET
        if name not in known:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [(family, socket.SOCK_DGRAM, 17, "", (known[name], 0))]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    return known


def test_address_stands_in_all_that_is_told():
    site = site_of(settings("10.77.0.2"))
    assert site == Site("10.77.0.2", "http://10.77.0.2:50099")
    assert site.script_url == "http://10.77.0.2:50099/ipxe/init.ipxe"
    assert site.boot_file(Firmware.HTTP_ARM64) == "http://10.77.0.2:50099/tftp/arm64/snp.efi"
    assert site.boot_file(Firmware.BIOS) == "undionly.kpxe"


def test_host_name_is_looked_up_for_the_address_and_stays_in_urls(names):
    names["boot.example"] = "10.77.0.2"
    assert site_of(settings("boot.example")) == Site("10.77.0.2", "http://boot.example:50099")


def test_host_name_that_is_not_known_is_refused_with_the_remedy(names):
    with pytest.raises(StartError, match=r"=boot\.example: no IPv4 address is known of it \(Name .*disable-dhcp-proxy"):
        site_of(settings("boot.example"))


def test_ipv6_address_is_refused_with_the_remedy():
    with pytest.raises(StartError, match=r"=fd00::1: .*IPv4 addresses only; name one.*--disable-dhcp-proxy"):
        site_of(settings("fd00::1"))


@pytest.mark.parametrize("address", ["0.0.0.0", "224.0.0.1", "255.255.255.255"])
def test_address_of_no_host_is_refused(address):
    with pytest.raises(StartError, match=f"={address}: is no address of one host"):
        site_of(settings(address))


def test_host_name_too_long_for_an_option_is_refused(names):
    name = ".".join(["a" * 60] * 4)
    names[name] = "10.77.0.2"
    with pytest.raises(StartError, match=r"has 275 bytes, and DHCP takes 255"):
        site_of(settings(name))


def test_longest_host_name_that_is_taken_fits_into_an_answer(names):
    name = ".".join(["a" * 60] * 3) + "." + "b" * 40
    names[name] = "10.77.0.2"
    assert len(site_of(settings(name)).boot_file(Firmware.HTTP_X86)) == 255
