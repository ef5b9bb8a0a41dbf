"""Which protocol is spoken with a BMC, and what the question whether it has Redfish costs."""

import contextlib
import socket
import time

import pytest

from app.machine.model import BmcConfiguration, Ipmi, PowerState
from config.settings import Settings
from tests.integration.redfish_mock import MACHINE, SYSTEM, Answer, RedfishMock, error, served_with
from tests.unit.tls.certificates import make as certificate
from workers.bmc import choice
from workers.bmc.client import used_alone
from workers.bmc.errors import BmcInUse, BmcUnsupported
from workers.bmc.known import BmcKind, Known
from workers.bmc.redfish import probe
from workers.bmc.redfish.probe import speaks_redfish

pytestmark = pytest.mark.integration


class Ipmied:
    """What is opened instead of a session over IPMI."""

    known = Known(BmcKind.IPMI)


@pytest.fixture(autouse=True)
def ipmi(monkeypatch):
    monkeypatch.setattr(choice, "open_ipmi", lambda *_, **__: Ipmied())


@pytest.fixture
def bmc():
    mock = RedfishMock()
    yield mock
    mock.close()


def opened(bmc, known=None, **options):
    configuration = BmcConfiguration(ipmi=bmc.ipmi())
    return choice.open_session(MACHINE, configuration, bmc.settings(**options), known, login_worked=True)


def kind(bmc, known=None, **options):
    return opened(bmc, known, **options).known.kind


def test_redfish_is_spoken_where_it_answers(bmc):
    with contextlib.closing(opened(bmc)) as talk:
        assert [str(asked) for asked in bmc.asked] == ["GET /redfish/v1/"]
        assert "Authorization" not in bmc.asked[0].headers
        assert talk.power_state() is PowerState.OFF


@pytest.mark.parametrize(
    ("known", "options", "wanted"),
    [
        (None, {"redfish_use_when_available": False}, BmcKind.IPMI),
        (Known(BmcKind.REDFISH), {"redfish_use_when_available": False}, BmcKind.IPMI),
        (None, {"redfish_use_always": True}, BmcKind.REDFISH),
        (Known(BmcKind.IPMI), {"redfish_use_always": True}, BmcKind.REDFISH),
        (None, {"redfish_use_always": True, "redfish_use_when_available": False}, BmcKind.REDFISH),
        (Known(BmcKind.IPMI), {}, BmcKind.IPMI),
        (Known(BmcKind.REDFISH, SYSTEM), {}, BmcKind.REDFISH),
    ],
)
def test_options_and_what_is_known_decide_without_a_question(bmc, known, options, wanted):
    assert kind(bmc, known, **options) is wanted
    assert bmc.asked == []


def test_api_part_counts_before_ipmi(bmc):
    configuration = BmcConfiguration(ipmi=bmc.ipmi(), api_address="127.0.0.1:1")
    assert choice.open_session(MACHINE, configuration, bmc.settings()).known.kind is BmcKind.API


@pytest.mark.parametrize(("redfish", "opener"), [(True, "open_redfish"), (False, "open_ipmi")])
def test_each_kind_is_given_what_tells_whether_the_bmc_is_still_ours(bmc, monkeypatch, redfish, opener):
    given = []
    monkeypatch.setattr(choice, opener, lambda *_, **options: given.append(options["still_ours"]))
    settings = bmc.settings(redfish_use_when_available=redfish)
    choice.open_session(MACHINE, BmcConfiguration(ipmi=bmc.ipmi()), settings, still_ours=used_alone)
    assert given == [used_alone]


def test_ipmi_is_told_how_long_to_let_the_bmc_rest_between_two_sessions(bmc, monkeypatch):
    given = []
    monkeypatch.setattr(choice, "open_ipmi", lambda *_, **options: given.append(options["rest_s"]))
    settings = bmc.settings(redfish_use_when_available=False, ipmi_min_interval_s=2.5)
    choice.open_session(MACHINE, BmcConfiguration(ipmi=bmc.ipmi()), settings)
    assert given == [2.5]


def test_api_bmc_is_given_what_tells_whether_it_is_still_ours():
    def gone():
        raise BmcInUse("somebody else uses it by now", executed=False)

    with socket.create_server(("127.0.0.1", 0)) as deaf:
        configuration = BmcConfiguration(api_address=f"127.0.0.1:{deaf.getsockname()[1]}")
        with pytest.raises(BmcInUse):
            choice.open_session(MACHINE, configuration, Settings(), still_ours=gone).power_on()


def test_configuration_that_names_nothing_is_said_to_be_so(bmc):
    with pytest.raises(BmcUnsupported, match="neither api nor ipmi") as caught:
        choice.open_session(MACHINE, BmcConfiguration(), bmc.settings())
    assert caught.value.executed is False


@pytest.mark.parametrize(
    ("answer", "is_redfish"),
    [
        (Answer(503, error(("Base.1.8.ServiceTemporarilyUnavailable",))), True),
        (Answer(401, error(("Base.1.8.NoValidSession",))), True),
        (Answer(503, b"", {"OData-Version": "4.0"}), True),
        (Answer(401, b"", {"OData-Version": "4.0"}), True),
        (Answer(429, {}, {"Content-Type": "application/json; charset=utf-8"}), True),
        (Answer(403, {}, {"Content-Type": "Application/JSON"}), True),
        (Answer(503, b"<html>busy</html>", {"Content-Type": "text/html"}), False),
        (Answer(429, b""), False),
        (Answer(401, b""), False),
        (Answer(401, b"", {"WWW-Authenticate": "Basic"}), False),
        (Answer(403, b"forbidden", {"Content-Type": "text/plain"}), False),
        (Answer(404, {}, {"Content-Type": "application/json"}), False),
        (Answer(401, b" \r\n<!DOCTYPE html>log in"), False),
        (Answer(403, b"<html>forbidden"), False),
        (Answer(500, b""), False),
        (Answer(404, b"<html>not found"), False),
        (Answer(200, b"<html>welcome"), False),
        (Answer(200, {"hello": "world"}), False),
        (Answer(302, headers={"Location": "https://elsewhere/login"}), False),
        (Answer(cut=True), False),
    ],
)
def test_what_answers_there_tells_whether_it_is_redfish(bmc, answer, is_redfish):
    bmc.hook(lambda _: answer)
    assert speaks_redfish(bmc.ipmi(), bmc.settings()) is is_redfish


def test_certificate_that_is_not_trusted_does_not_lead_to_ipmi(tmp_path):
    bmc = RedfishMock(tls=served_with(certificate("bmc").write(tmp_path, "bmc")))
    try:
        assert speaks_redfish(bmc.ipmi(), bmc.settings(redfish_insecure_skip_tls_verify=False))
    finally:
        bmc.close()


def test_nobody_there_is_no_redfish_at_once(bmc):
    bmc.close()
    bmc.close = lambda: None
    assert not speaks_redfish(bmc.ipmi(), bmc.settings())
    assert not speaks_redfish(Ipmi("no address", 0), bmc.settings())


@pytest.mark.parametrize("https", [False, True])
def test_silence_is_no_redfish_in_time(bmc, monkeypatch, https):
    monkeypatch.setattr(probe, "PROBE_S", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        settings = Settings(redfish_port=deaf.getsockname()[1], redfish_use_https=https)
        began_s = time.monotonic()
        assert not speaks_redfish(bmc.ipmi(), settings)
        assert time.monotonic() - began_s < 0.8
