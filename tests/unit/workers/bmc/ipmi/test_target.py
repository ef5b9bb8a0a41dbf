import socket
import time

import pytest

from app.machine.model import Ipmi
from workers.bmc.ipmi import target
from workers.bmc.ipmi.target import PlaceUnknown, Target, shown, targets

V4, V6 = socket.AF_INET, socket.AF_INET6


@pytest.mark.parametrize(
    ("address", "port", "wanted"),
    [
        ("192.0.2.7", 0, Target(V4, ("192.0.2.7", 623))),
        ("192.0.2.7", 6230, Target(V4, ("192.0.2.7", 6230))),
        ("2001:db8::7", 0, Target(V6, ("2001:db8::7", 623))),
        ("[2001:db8::7]", 0, Target(V6, ("2001:db8::7", 623))),
    ],
)
def test_address_is_taken_without_asking_a_resolver(monkeypatch, address, port, wanted):
    monkeypatch.delattr(socket, "getaddrinfo")
    assert targets(Ipmi(address, port)) == [wanted]


def test_name_has_one_target_of_each_family_in_the_resolvers_order(monkeypatch):
    found = [(V6, "2001:db8::1"), (V6, "2001:db8::2"), (V4, "192.0.2.1"), (V4, "192.0.2.2")]
    answers = [(family, 2, 17, "", (address, 623)) for family, address in found]
    monkeypatch.setattr(socket, "getaddrinfo", lambda name, *_, **__: answers if name == "bmc-7" else [])
    assert targets(Ipmi("bmc-7")) == [Target(V6, ("2001:db8::1", 623)), Target(V4, ("192.0.2.1", 623))]


@pytest.mark.parametrize("error", [socket.gaierror(-2, "Name or service not known"), UnicodeError("label too long")])
def test_name_that_is_not_known_is_said(monkeypatch, error):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    with pytest.raises(PlaceUnknown, match=rf"its name is not found \({type(error).__name__}\)"):
        targets(Ipmi("bmc-8"))


def test_resolver_that_does_not_answer_is_not_waited_for(monkeypatch):
    monkeypatch.setattr(target, "LOOKUP_S", 0.02)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: time.sleep(0.2) or [])
    began_s = time.monotonic()
    with pytest.raises(PlaceUnknown, match=r"not found within 0\.02 s"):
        targets(Ipmi("bmc-9"))
    assert time.monotonic() - began_s < 0.15
    time.sleep(0.2)  # let the thread end


def test_no_address_at_all_is_said():
    with pytest.raises(PlaceUnknown, match="it has no address"):
        targets(Ipmi())


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("192.0.2.7", "192.0.2.7:623"),
        ("2001:db8::7", "[2001:db8::7]:623"),
        ("[::1]", "[::1]:623"),
        ("a\nb\x1b", "a b:623"),
    ],
)
def test_place_is_shown_on_one_clean_line(address, words):
    assert shown(Ipmi(address)) == words


def test_place_that_goes_on_and_on_is_cut():
    assert len(shown(Ipmi("x" * 5000))) < 120
