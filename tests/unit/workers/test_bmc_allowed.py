"""Which addresses an agent may name as its BMC: plain ones that are not ours, in the networks that are allowed."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Any

import pytest

from config.settings import Settings
from workers import bmc_allowed
from workers.bmc_allowed import check_named
from workers.errors import BmcAddressMissing, BmcAddressRefused

MACHINE = "4c4c4544-0042-3510-8051-b4c04f573332"
OWN = ipaddress.ip_address("198.51.100.4")
BROADCAST = ipaddress.ip_address("198.51.100.255")


@pytest.fixture(autouse=True)
def _own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bmc_allowed, "own_addresses", lambda: frozenset({OWN, ipaddress.ip_address("fd00::4")}))
    monkeypatch.setattr(bmc_allowed, "addresses_of_links", lambda: frozenset({BROADCAST}))


def settings(**options: Any) -> Settings:
    given = {
        "omni_api_endpoint": "https://203.0.113.9:443",
        "api_advertise_address": "192.0.2.8",
        "gateway_listen": "192.0.2.10:50044",
        "redis_url": "rediss://:secret@[fd00::6]:6379/0",
        "state_dir": Path("/nonexistent"),
    }
    return Settings(**{**given, **options})


def check(address: str, port: int = 623, **options: Any) -> None:
    check_named(MACHINE, address, port, settings(**options))


@pytest.mark.parametrize("address", ["192.0.2.7", "10.0.0.1", "8.8.8.8", "fd00::1", "2001:db8::7", "2001:1::7"])
@pytest.mark.parametrize("port", [0, 623, 65535])
def test_ordinary_address_is_allowed(address: str, port: int) -> None:
    check(address, port)


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("127.0.0.1", "loopback"),
        ("127.9.9.9", "loopback"),
        ("::1", "loopback"),
        ("224.0.0.1", "multicast"),
        ("ff02::1", "multicast"),
        ("255.255.255.255", "no address of a host"),
        ("240.0.0.1", "no address of a host"),
        ("0.1.2.3", "no address of a host"),
        ("::127.0.0.1", "no address of a host"),
        ("64:ff9b::7f00:1", "no address of a host"),
        ("fec0::1", "no address of a host"),
        ("2002:7f00:1::1", "a way through an IPv4 address"),
        ("2001:0:0:1::1", "a way through an IPv4 address"),
        (str(BROADCAST), "a network of this host"),
        ("169.254.0.17", "link-local"),
        ("fe80::1", "link-local"),
        ("fe80::1%eth0", "interface"),
        ("fd00::1%eth0", "interface"),
        ("::ffff:192.0.2.7", "IPv4 address written as"),
        ("::ffff:127.0.0.1", "IPv4 address written as"),
        ("bmc.example.com", "no IP address"),
        ("localhost", "no IP address"),
        ("192.0.2.7:623", "no IP address"),
        ("192.0.2.7/24", "no IP address"),
        ("0177.0.0.1", "no IP address"),
        ("2130706433", "no IP address"),
        ("192.0.2.7\n127.0.0.1", "no IP address"),
        (" 192.0.2.7", "no IP address"),
        (str(OWN), "provider itself"),
        ("fd00::4", "provider itself"),
        ("fd00:0:0::4", "provider itself"),
        ("192.0.2.8", "provider itself"),
        ("192.0.2.10", "provider itself"),
        ("fd00::6", "Redis or Omni"),
        ("203.0.113.9", "Redis or Omni"),
    ],
)
def test_any_other_address_is_refused_and_named_with_machine_reason_and_remedy(address: str, reason: str) -> None:
    with pytest.raises(BmcAddressRefused, match=reason) as caught:
        check(address)
    words = caught.value.words()
    assert MACHINE in words and address.strip().partition("\n")[0] in words
    assert "BMCConfig" in words and "--bmc-allowed-cidrs" in words
    assert caught.value.parks


def test_words_of_an_agent_are_cut_and_cleaned() -> None:
    with pytest.raises(BmcAddressRefused) as caught:
        check("\x1b[2Jbmc" + "x" * 100_000)
    assert caught.value.words().isprintable()
    assert len(caught.value.words()) < 1_000


@pytest.mark.parametrize("address", ["", "0.0.0.0", "::"])
def test_bmc_without_an_address_yet_is_asked_for_again(address: str) -> None:
    with pytest.raises(BmcAddressMissing, match=MACHINE) as caught:
        check(address)
    assert not caught.value.parks
    assert "DHCP" in caught.value.words()


def test_port_that_is_none_is_refused() -> None:
    with pytest.raises(BmcAddressRefused, match="no port 65536"):
        check("192.0.2.7", 65_536)


def test_options_that_are_names_or_empty_stand_in_nobodys_way() -> None:
    given = {"redis_url": "unix:///run/redis.sock", "omni_api_endpoint": "https://omni.example", "gateway_listen": ""}
    check("203.0.113.9", **given)


@pytest.mark.parametrize(("address", "allowed"), [("10.1.2.3", True), ("fd00:1::9", True), ("10.2.0.1", False)])
def test_networks_that_are_allowed_leave_out_all_others(address: str, allowed: bool) -> None:
    networks = (ipaddress.ip_network("10.1.0.0/16"), ipaddress.ip_network("fd00:1::/64"))
    if allowed:
        check(address, bmc_allowed_cidrs=networks)
        return
    with pytest.raises(BmcAddressRefused, match="none of the networks of --bmc-allowed-cidrs"):
        check(address, bmc_allowed_cidrs=networks)


def test_allowed_network_does_not_allow_what_is_ours() -> None:
    with pytest.raises(BmcAddressRefused, match="provider itself"):
        check(str(OWN), bmc_allowed_cidrs=(ipaddress.ip_network("198.51.100.0/24"),))


@pytest.mark.parametrize(
    ("address", "network"), [("127.77.0.3", "127.77.0.0/16"), ("127.0.0.9", "127.0.0.0/8"), ("::1", "::1/128")]
)
def test_loopback_is_allowed_where_a_network_within_loopback_says_so(address: str, network: str) -> None:
    check(address, bmc_allowed_cidrs=(ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network(network)))


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("127.78.0.3", "127.77.0.0/16"),
        ("127.0.0.1", "0.0.0.0/0"),
        ("127.0.0.1", "126.0.0.0/7"),
        ("::1", "::/0"),
        ("::ffff:127.77.0.3", "127.77.0.0/16"),
        ("::ffff:127.77.0.3", "::ffff:127.0.0.0/104"),
        ("::1%eth0", "::1/128"),
    ],
)
def test_any_other_network_allows_no_loopback_address(address: str, network: str) -> None:
    with pytest.raises(BmcAddressRefused, match=r"loopback|IPv4 address written as|interface"):
        check(address, bmc_allowed_cidrs=(ipaddress.ip_network(network),))


@pytest.mark.parametrize("address", ["127.0.0.4", "127.0.0.5"])
def test_loopback_address_of_our_own_options_stays_refused(address: str) -> None:
    given = {"redis_url": "redis://127.0.0.4:6379/0", "api_listen_address": "127.0.0.5"}
    with pytest.raises(BmcAddressRefused, match="provider itself"):
        check(address, bmc_allowed_cidrs=(ipaddress.ip_network("127.0.0.0/8"),), **given)
