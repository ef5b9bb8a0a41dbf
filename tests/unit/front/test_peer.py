import pytest

from app.front.peer import address_of, came_without_tls, name_for

ADDRESSES = ["192.0.2.7", "2001:db8::1", "fe80::1%eth0", "::1"]


@pytest.mark.parametrize("address", ADDRESSES)
def test_name_holds_the_address(address):
    name = name_for(address)
    assert address_of(name) == address
    assert address_of(name.decode()) == address
    assert len(name) < 108


@pytest.mark.parametrize("address", ADDRESSES)
def test_name_as_grpc_shows_it_holds_the_address(address):
    shown = "unix-abstract:" + name_for(address).decode().lstrip("\0").replace("%", "%25")
    assert address_of(shown) == address


def test_mapped_address_is_shown_as_ipv4():
    assert address_of(name_for("::ffff:192.0.2.7")) == "192.0.2.7"


def test_names_of_one_address_differ():
    assert name_for("192.0.2.7") != name_for("192.0.2.7")


@pytest.mark.parametrize(
    "name",
    ["", b"", "unix:", "192.0.2.7", "ipv4:192.0.2.7:80", "\0omni-metal/1.2/nonsense", "\0other/1.2/192.0.2.7", b"\xff"],
)
def test_other_names_hold_no_address(name):
    assert address_of(name) is None


@pytest.mark.parametrize("address", ADDRESSES)
def test_name_tells_who_came_without_tls(address):
    assert came_without_tls(name_for(address))
    assert not came_without_tls(name_for(address, tls=True))
    assert address_of(name_for(address, tls=True)) == address
    assert len(name_for(address, tls=True)) < 108


def test_who_came_some_other_way_is_not_blamed():
    assert not came_without_tls("unix:")
