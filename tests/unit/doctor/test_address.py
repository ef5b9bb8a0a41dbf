"""The advertise address by whose it is and who answers there."""

from dataclasses import replace

import pytest

from app.doctor import address
from app.doctor.finding import Verdict
from app.doctor.http_probe import Answer
from config.settings import Settings

OURS = Answer(200, {"status": "alive"})
NOBODY = Answer(error="nothing listens there", refused=True)
LATE = Answer(error="no answer within 3 s")
STRANGER = Answer(200, None)
HERE = address.Place("10.0.0.8", 50042, ("10.0.0.8",), ("10.0.0.8",), listens=True, routable=("10.0.0.8",))
ELSEWHERE = replace(HERE, name="10.9.9.9", resolved=("10.9.9.9",), here=())
LOOPBACK = replace(HERE, name="localhost", resolved=("127.0.0.1",), here=("127.0.0.1",))


@pytest.mark.parametrize(
    ("place", "answer", "verdict", "words"),
    [
        (HERE, OURS, Verdict.OK, "10.0.0.8 is this host's, we answer there"),
        (HERE, NOBODY, Verdict.OK, "nothing listens there yet"),
        (HERE, LATE, Verdict.FAILED, "we do not answer on port 50042 of 10.0.0.8: no answer within 3 s"),
        (HERE, STRANGER, Verdict.FAILED, "another program answers on port 50042"),
        (replace(HERE, routable=("10.0.0.8", "10.1.0.8")), OURS, Verdict.OK, "this host has 2 routable ones"),
        (replace(HERE, listens=False), NOBODY, Verdict.FAILED, "--api-listen-address takes only"),
        (LOOPBACK, OURS, Verdict.WARNING, "localhost (127.0.0.1) is reached from this host alone"),
        (ELSEWHERE, OURS, Verdict.OK, "as by a load balancer"),
        (ELSEWHERE, NOBODY, Verdict.FAILED, "10.9.9.9 is no address of this host"),
        (ELSEWHERE, LATE, Verdict.FAILED, "10.9.9.9 is no address of this host"),
        (ELSEWHERE, STRANGER, Verdict.FAILED, "we do not answer there (another program does)"),
    ],
)
def test_address_is_judged(place, answer, verdict, words):
    [finding] = address.address_findings(place, answer)
    assert finding.verdict is verdict
    assert words in finding.words
    if place is not HERE and verdict is Verdict.FAILED and answer is not STRANGER and place.listens:
        assert "--api-advertise-address: 10.0.0.8" in finding.remedy


@pytest.mark.parametrize(
    ("listen", "listens"), [("", True), ("0.0.0.0", True), ("10.0.0.8", True), ("127.0.0.1", False)]
)
def test_address_is_compared_with_what_is_listened_on(monkeypatch, listen, listens):
    monkeypatch.setattr(address, "routable_addresses", lambda: ["10.0.0.8", "10.1.0.8"])
    settings = Settings(api_advertise_address="metal.test", api_listen_address=listen)
    place = address.place_of(settings, ("10.0.0.8", "10.9.9.9"), lambda found: found == "10.0.0.8")
    assert (place.here, place.listens) == (("10.0.0.8",), listens)
    assert place.routable == ("10.0.0.8", "10.1.0.8")


def test_name_that_is_not_known_is_said_with_the_addresses_that_there_are(monkeypatch):
    def unknown(*_, **__):
        raise OSError(-2, "Name or service not known")

    monkeypatch.setattr(address.socket, "getaddrinfo", unknown)
    monkeypatch.setattr(address, "routable_addresses", lambda: ["10.0.0.8"])

    class Place:
        settings = Settings(api_advertise_address="nope.test")

    [finding] = address.look(Place())
    assert finding.verdict is Verdict.FAILED
    assert "nope.test is not known" in finding.words
    assert "10.0.0.8" in finding.remedy
