import pytest

from config import addresses
from config.addresses import bracketed, is_wildcard, split_address

FIB_TRIE = """\
Main:
  +-- 0.0.0.0/0 3 0 5
     |-- 0.0.0.0
        /0 universe UNICAST
     +-- 127.0.0.0/8 2 0 2
           |-- 127.0.0.1
              /32 host LOCAL
     +-- 192.0.2.0/24 2 0 2
           |-- 192.0.2.17
              /32 host LOCAL
           |-- 192.0.2.255
              /32 link BROADCAST
     |-- 169.254.1.1
        /32 host LOCAL
Local:
           |-- 192.0.2.17
              /32 host LOCAL
"""
IF_INET6 = """\
00000000000000000000000000000001 01 80 10 80       lo
20010db8000000000000000000000007 02 40 00 80     eth0
fe800000000000000000000000000007 02 40 20 80     eth0
"""


def test_loopback_and_link_local_are_not_routable(tmp_path, monkeypatch):
    monkeypatch.setattr(addresses, "FIB_TRIE", tmp_path / "fib_trie")
    (tmp_path / "fib_trie").write_text(FIB_TRIE)
    assert addresses.routable_addresses() == ["192.0.2.17"]


def test_ipv6_is_looked_at_where_there_is_no_ipv4(tmp_path, monkeypatch):
    monkeypatch.setattr(addresses, "FIB_TRIE", tmp_path / "fib_trie")
    monkeypatch.setattr(addresses, "IF_INET6", tmp_path / "if_inet6")
    (tmp_path / "fib_trie").write_text("")
    (tmp_path / "if_inet6").write_text(IF_INET6)
    assert addresses.routable_addresses() == ["2001:db8::7"]


def test_own_addresses_are_those_of_both_families(tmp_path, monkeypatch):
    monkeypatch.setattr(addresses, "FIB_TRIE", tmp_path / "fib_trie")
    monkeypatch.setattr(addresses, "IF_INET6", tmp_path / "if_inet6")
    (tmp_path / "fib_trie").write_text(FIB_TRIE)
    (tmp_path / "if_inet6").write_text(IF_INET6)
    assert {str(address) for address in addresses.own_addresses()} == {"192.0.2.17", "2001:db8::7"}


# As older kernels list it: the network's own address is a broadcast too, and two routes stand below one address.
OLDER_FIB_TRIE = """\
Main:
     +-- 192.0.2.0/24 2 0 2
           |-- 192.0.2.0
              /32 link BROADCAST
              /24 link UNICAST
           |-- 192.0.2.17
              /32 host LOCAL
           |-- 192.0.2.255
              /32 link BROADCAST
     +-- 198.51.100.0/24 2 0 2
           |-- 198.51.100.0
              /31 link UNICAST
           |-- 198.51.100.8
              /30 link UNICAST
           |-- 203.0.113.0
              /24 universe UNICAST
"""


def test_links_of_this_host_have_addresses_that_are_no_hosts(tmp_path, monkeypatch):
    monkeypatch.setattr(addresses, "FIB_TRIE", tmp_path / "fib_trie")
    assert addresses.addresses_of_links() == frozenset()
    (tmp_path / "fib_trie").write_text(FIB_TRIE)
    assert {str(address) for address in addresses.addresses_of_links()} == {"192.0.2.255"}
    (tmp_path / "fib_trie").write_text(OLDER_FIB_TRIE)
    assert {str(address) for address in addresses.addresses_of_links()} == {
        "192.0.2.0",
        "192.0.2.255",
        "198.51.100.8",
        "198.51.100.11",
    }
    assert addresses.routable_addresses() == ["192.0.2.17"]


@pytest.mark.parametrize(
    ("text", "parts", "everywhere"),
    [
        ("127.0.0.1:5555", ("127.0.0.1", 5555), False),
        ("0.0.0.0:1", ("0.0.0.0", 1), True),
        ("[::]:1", ("::", 1), True),
        ("[fd00::1]:1", ("fd00::1", 1), False),
        ("host.example:1", ("host.example", 1), False),
        (":1", ("", 1), True),
    ],
)
def test_address_to_listen_on_is_split_and_known_to_be_everywhere(text, parts, everywhere):
    assert split_address(text) == parts
    assert is_wildcard(parts[0]) is everywhere


def test_ipv6_address_gets_brackets_in_a_url():
    assert [bracketed("fd00::1"), bracketed("10.0.0.1")] == ["[fd00::1]", "10.0.0.1"]
