"""Who has a port is said where that is the cause, before the remedy."""

import pytest

from app.errors import StartError
from app.ports import Holder, PortInUse
from netboot import ports
from netboot.dhcp.site import Site
from netboot.place import Place

PLACE = Place("eth0", "10.0.0.2", Site("10.0.0.2", "http://10.0.0.2:50042"))


@pytest.fixture(params=[(ports.dhcp_sockets, 67), (ports.dhcp_sockets, 4011), (ports.tftp_sockets, 69)])
def refused(request, monkeypatch):
    """Tries a port that cannot be had for this reason; returns the words."""
    module, port = request.param
    monkeypatch.setattr(ports, "udp_holders_of", lambda _: (Holder(77, 1, ("dnsmasq", "-k")), Holder(78, 77, ())))

    def tried(error):
        def refuse(*_):
            raise error

        monkeypatch.setattr(module, "open_socket", refuse)
        with pytest.raises(type(error)) as raised:
            ports.try_port(PLACE, port)
        return str(raised.value)

    return tried


def test_holder_of_a_port_in_use_stands_before_the_remedy(refused):
    said = refused(PortInUse("the port is in use; end that one; or not"))
    assert said == "the port is in use: dnsmasq -k (process 77) has it; end that one; or not"


def test_nobody_is_blamed_for_anything_else(refused):
    assert refused(StartError("the port may not be used; be root")) == "the port may not be used; be root"


def test_holder_that_is_hidden_is_left_out(refused, monkeypatch):
    monkeypatch.setattr(ports, "udp_holders_of", lambda _: ())
    assert refused(PortInUse("the port is in use; end that one")) == "the port is in use; end that one"
