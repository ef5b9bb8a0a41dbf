"""The connection with a Redfish BMC: how long and how much it takes, where the login goes, what is trusted."""

import base64
import contextlib
import html
import json
import socket
import ssl
import threading
import time

import pytest

from app.machine.model import Ipmi, PowerState
from config.settings import Settings
from tests.integration.redfish_mock import PASSWORD, SYSTEM, USER, Answer, RedfishMock, first, served_with
from tests.unit.tls.certificates import make as certificate
from workers.bmc.errors import (
    BmcAuthenticationFailed,
    BmcError,
    BmcLoginUnusable,
    BmcNoSystem,
    BmcNotTrusted,
    BmcRefused,
    BmcUnreachable,
)
from workers.bmc.known import BmcKind, Known
from workers.bmc.redfish import finding, line, service, tls
from workers.bmc.redfish.session import RedfishBmc, open_redfish

pytestmark = pytest.mark.integration

KNOWN = Known(BmcKind.REDFISH, SYSTEM)
LIMIT_S = 0.4
OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


@pytest.fixture(autouse=True)
def limits(monkeypatch):
    for name in ("CONNECT_S", "HANDSHAKE_S", "ANSWER_S"):
        monkeypatch.setattr(line, name, LIMIT_S)


@pytest.fixture
def make(tmp_path):
    mocks = []

    def start(**options):
        mocks.append(RedfishMock(**options))
        return mocks[-1]

    yield start
    for mock in mocks:
        mock.close()


class RawServer:
    """Accepts, reads what comes first, and lets `talk` go on."""

    def __init__(self, talk):
        self._talk, self.requests = talk, []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.ended = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self):
        while True:
            with self._listener.accept()[0] as peer:
                if self.ended.is_set():
                    return
                with contextlib.suppress(OSError):
                    self.requests.append(peer.recv(65536))
                    self._talk(peer, self.ended)

    def close(self):
        self.ended.set()
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", self.port), 1).close()
        self._thread.join(10)
        self._listener.close()


@pytest.fixture
def raw():
    servers = []

    def start(talk, *, https=False):
        servers.append(RawServer(talk if callable(talk) else lambda peer, _: peer.sendall(talk)))
        settings = Settings(redfish_port=servers[-1].port, redfish_use_https=https)
        opened = open_redfish("m", Ipmi("127.0.0.1", 0, "u", "p"), settings, KNOWN, login_worked=True)
        servers[-1].session = opened
        return servers[-1]

    yield start
    for server in servers:
        server.session.close()
        server.close()


def dripping(begin, drop):
    def talk(peer, ended):
        peer.sendall(begin)
        while not ended.wait(0.05):
            peer.sendall(drop)

    return talk


@pytest.mark.parametrize(
    ("begin", "drop"),
    [
        (b"", b"H"),
        (OK, b"X: y\r\n"),
        (OK + b"Content-Length: 100000\r\n\r\n", b" "),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
        (b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (OK + b"Content-Length: 100000\r\n\r\n", b""),
    ],
)
@pytest.mark.parametrize("verb", ["power_state", "power_on"])
def test_peer_that_drips_is_left_in_time(raw, begin, drop, verb):
    server = raw(dripping(begin, drop))
    began_s = time.monotonic()
    with pytest.raises((BmcUnreachable, BmcRefused)):
        getattr(server.session, verb)()
    assert time.monotonic() - began_s < LIMIT_S + 0.6
    assert len(server.requests) == 1


def test_peer_that_drips_its_handshake_is_left_in_time(raw):
    record = b"\x16\x03\x03\x40\x00\x02\x00\x3f\xfc"  # a server's hello of 16 KiB
    server = raw(dripping(record, b"\0"), https=True)
    began_s = time.monotonic()
    with pytest.raises(BmcUnreachable) as caught:
        server.session.power_on()
    assert caught.value.executed is False
    assert time.monotonic() - began_s < LIMIT_S + 0.6


@pytest.mark.parametrize(
    "answer",
    [
        OK + b"Content-Length: 2000000000\r\n\r\n" + b" " * 2_000_000,
        OK + b"\r\n" + b" " * 2_000_000,
        OK + b"X: y\r\n" * 1000,
        b"SSH-2.0-dropbear\r\n",
        b"\x15\x03\x01\x00\x02\x02\x0a",
        OK + b"Content-Length: 2\r\n\r\n[]",
        OK + b"Content-Length: 4\r\n\r\nnull",
        OK + b"Content-Length: 4\r\n\r\n\xff\xfe\x00\x01",
        OK + b"Content-Length: 200000\r\n\r\n" + b'{"a":[' * 33_333 + b"  ",
        OK + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
)
def test_answer_that_is_no_redfish_is_an_error_of_ours(raw, answer):
    server = raw(answer)
    with pytest.raises((BmcRefused, BmcUnreachable)) as caught:
        server.session.power_state()
    assert len(str(caught.value)) < 400


def test_answer_that_is_cut_short_is_not_taken_for_the_whole(raw):
    server = raw(OK + b'Content-Length: 900\r\n\r\n{"PowerState": "On"}')
    with pytest.raises(BmcUnreachable):
        server.session.power_state()


def test_command_whose_answer_is_cut_short_is_done_all_the_same(make):
    bmc = make()
    bmc.hook(lambda asked: bmc.reset("On") and Answer(200, b"{}", {"Content-Length": "900"}) if asked.body else None)
    bmc.session(KNOWN).power_on()  # its status says so, and nobody needs the body
    assert bmc.executed == ["On"]


def test_requests_of_a_session_share_one_connection_until_it_was_idle(make, monkeypatch):
    bmc = make()
    talk = bmc.session(KNOWN)
    talk.power_state()
    talk.power_state()
    assert bmc.connections == 1
    monkeypatch.setattr(line, "IDLE_S", 0.1)
    time.sleep(0.15)
    talk.power_on()
    assert bmc.connections == 2
    assert bmc.executed == ["On"]


def test_connection_that_was_idle_while_the_lease_was_looked_at_is_not_used(make, monkeypatch):
    bmc = make()
    monkeypatch.setattr(line, "IDLE_S", 0.1)
    bmc.session(KNOWN, still_ours=lambda: time.sleep(0.2)).power_on()
    assert (bmc.connections, bmc.executed) == (2, ["On"])


def test_connection_that_was_opened_for_a_command_is_used_for_it(make, monkeypatch):
    bmc = make()
    monkeypatch.setattr(line, "IDLE_S", 0.1)
    monkeypatch.setattr(service, "REFUSED_PAUSE_S", 0.2)
    bmc.hook(first(1, Answer(401), "POST"))
    bmc.session(KNOWN).power_on()
    assert (bmc.connections, bmc.executed) == (2, ["On"])


def test_connection_that_the_bmc_closes_without_a_word_loses_no_command(make):
    bmc = make()
    bmc.hook(lambda asked: Answer(200, bmc.documents[SYSTEM], cut=False) if asked.method == "GET" else None)
    closing = bmc._handler()  # each answer ends its connection, and no header says so
    serve = closing.serve
    closing.do_GET = lambda self: (serve(self), setattr(self, "close_connection", True))
    bmc._server.RequestHandlerClass = closing
    talk = bmc.session(KNOWN, still_ours=lambda: time.sleep(0.1))
    talk.power_on()
    assert bmc.executed == ["On"]


def test_session_that_is_lost_amid_refusals_tells_how_many_there_were(make):
    bmc = make()
    answers = iter([Answer(200), Answer(401), Answer(401), Answer(cut=True)])
    bmc.hook(lambda asked: next(answers) if asked.method == "POST" else None)
    talk = bmc.session(KNOWN)
    talk.power_on()
    with pytest.raises(BmcUnreachable) as caught:
        talk.power_on()
    assert caught.value.refusals == 2


def test_refusals_of_a_session_count_on_from_one_request_to_the_next(make, monkeypatch):
    bmc = make()
    monkeypatch.setattr(service, "REFUSED_PAUSE_S", 0.0)
    answers = iter([Answer(401), Answer(401), Answer(cut=True), Answer(cut=True), Answer(401)])
    bmc.hook(lambda _: next(answers))
    talk = bmc.session(KNOWN, login_worked=True)
    for refusals in (2, 0):  # those that were told before are not told again
        with pytest.raises(BmcUnreachable) as lost:
            talk.power_state()
        assert lost.value.refusals == refusals
    with pytest.raises(BmcAuthenticationFailed) as refused:
        talk.power_state()
    assert (refused.value.refusals, len(bmc.asked)) == (3, 5)


def test_success_ends_a_row_of_refusals_and_an_answer_without_a_login_does_not(make, monkeypatch):
    bmc = make()
    monkeypatch.setattr(service, "REFUSED_PAUSE_S", 0.0)
    answers = iter([Answer(401), Answer(401), Answer(200, {}), Answer(401), Answer(401), Answer(cut=True)])
    bmc.hook(lambda asked: next(answers, Answer(401)) if asked.path != "/redfish/v1/" else None)
    talk = bmc.session(login_worked=True)
    with pytest.raises(BmcNoSystem):
        talk.power_state()
    with pytest.raises(BmcUnreachable) as lost:
        talk.power_state()
    assert lost.value.refusals == 2
    with pytest.raises(BmcAuthenticationFailed) as refused:
        talk.power_state()
    assert (refused.value.refusals, bmc.count("GET /redfish/v1/Systems")) == (3, 7)


def test_look_up_that_takes_too_long_amid_refusals_tells_how_many_there_were(make, monkeypatch):
    bmc = make()
    monkeypatch.setattr(service, "REFUSED_PAUSE_S", 0.0)
    monkeypatch.setattr(finding, "FIND_WITHIN_S", 0.2)
    answers = iter([Answer(401), Answer(401), Answer(delay_s=0.3)])
    bmc.hook(lambda asked: next(answers) if asked.path != "/redfish/v1/" else None)
    with pytest.raises(BmcUnreachable, match="within") as late:
        bmc.session(login_worked=True).power_state()
    assert late.value.refusals == 2


def test_redirect_within_the_bmc_is_followed(make):
    bmc = make()
    bmc.hook(first(1, Answer(308, headers={"Location": f"{SYSTEM}/"}), f"GET {SYSTEM}"))
    bmc.documents[f"{SYSTEM}/"] = {"PowerState": "On"}
    assert bmc.session(KNOWN).power_state() is PowerState.ON


def test_redirects_in_a_circle_end(make):
    bmc = make()
    bmc.hook(first(99, Answer(302, headers={"Location": SYSTEM}), f"GET {SYSTEM}"))
    with pytest.raises(BmcRefused, match="circle"):
        bmc.session(KNOWN).power_state()
    assert len(bmc.asked) == service.MOST_REDIRECTS + 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirect_to_another_place_takes_no_login_there(make, status):
    other, bmc = make(), make()
    bmc.hook(first(9, Answer(status, headers={"Location": f"http://127.0.0.1:{other.port}/x"}), "GET"))
    with pytest.raises(BmcRefused, match="leads from"):
        bmc.session(KNOWN).power_state()
    assert other.asked == []


def test_command_is_not_redirected(make):
    bmc = make()
    bmc.hook(first(9, Answer(307, headers={"Location": "/redfish/v1/elsewhere"}), "POST"))
    with pytest.raises(BmcRefused) as caught:
        bmc.session(KNOWN).power_on()
    assert caught.value.executed is False
    assert bmc.count("POST") == 1


@pytest.mark.parametrize("names", ["http://127.0.0.1:{port}/reset", "//127.0.0.1:{port}/reset"])
def test_place_at_another_host_that_a_bmc_names_gets_no_login(make, names):
    other, bmc = make(), make()
    reset = bmc.documents[SYSTEM]["Actions"]["#ComputerSystem.Reset"]
    reset["target"] = names.format(port=other.port)
    with pytest.raises(BmcError):
        bmc.session(KNOWN).power_on()
    assert other.asked == []


@pytest.mark.parametrize("target", ["//[", "http://[::1/", "ftp://x/y", "\0\n", "ä", "?" * 5000])
def test_place_that_is_none_is_an_error_of_ours(make, target):
    bmc = make()
    bmc.documents[SYSTEM]["Actions"]["#ComputerSystem.Reset"]["target"] = target
    with pytest.raises(BmcError) as caught:
        bmc.session(KNOWN).power_on()
    assert caught.value.executed is False
    assert bmc.executed == []


def test_proxies_and_netrc_of_the_environment_get_nothing(make, monkeypatch):
    proxy, bmc = make(), make()
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
    bmc.session(KNOWN).power_state()
    assert proxy.asked == []


def test_any_certificate_will_do_where_none_is_checked(make, tmp_path):
    bmc = make(tls=certificate("somebody else").write(tmp_path, "bmc"))
    assert bmc.session(KNOWN).power_state() is PowerState.OFF


@pytest.mark.parametrize(("name", "trusted"), [("127.0.0.1", True), ("127.0.0.2", True), ("127.0.0.1", False)])
def test_certificate_must_be_trusted_and_for_the_address_where_it_is_checked(
    make, tmp_path, monkeypatch, name, trusted
):
    authority = certificate("authority", ca=True)
    bmc = make(tls=certificate("bmc", authority, names=(name,)).write(tmp_path, "bmc"))
    context = ssl.create_default_context()
    if trusted:
        context.load_verify_locations(cadata=authority.pem.decode())
    monkeypatch.setattr("workers.bmc.redfish.session.shared_context", lambda *, verify: context if verify else None)
    talk = bmc.session(KNOWN, redfish_insecure_skip_tls_verify=False)
    if name == "127.0.0.1" and trusted:
        assert talk.power_state() is PowerState.OFF
        return
    with pytest.raises(BmcNotTrusted, match="the certificate of the BMC at 127") as caught:
        talk.power_on()
    assert caught.value.executed is False
    assert bmc.asked == []


def test_contexts_are_made_once_and_differ_in_what_they_check():
    checks, any_will_do = tls.shared_context(verify=True), tls.shared_context(verify=False)
    assert checks is tls.shared_context(verify=True)
    assert (checks.verify_mode, checks.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert (any_will_do.verify_mode, any_will_do.check_hostname) == (ssl.CERT_NONE, False)


def test_old_tls_will_do_where_nothing_is_checked(make, tmp_path):
    old = served_with(certificate("bmc").write(tmp_path, "bmc"))
    old.set_ciphers("DEFAULT:@SECLEVEL=0")
    old.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    with pytest.warns(DeprecationWarning, match="TLSv1"):
        old.maximum_version = ssl.TLSVersion.TLSv1
    assert make(tls=old).session(KNOWN).power_state() is PowerState.OFF


@pytest.mark.parametrize("address", ["", "a b", "user@host", "host/path", "1.2.3.4:99", "ä", "a" * 300])
def test_address_that_is_none_is_said_to_be_none(address):
    with pytest.raises(BmcUnreachable) as caught:
        open_redfish("m", Ipmi(address, 0, "u", "p"), Settings(), KNOWN, login_worked=True).power_state()
    assert caught.value.executed is False


def test_address_of_ipv6_is_dialled(monkeypatch):
    dialled = []
    monkeypatch.setattr(line, "open_line", lambda place, *_: dialled.append(place) or (_ for _ in ()).throw(OSError()))
    for address in ("2001:db8::1", "[2001:db8::1]"):
        with pytest.raises(BmcUnreachable):
            open_redfish("m", Ipmi(address, 0, "u", "p"), Settings(), KNOWN, login_worked=True).power_state()
    assert dialled == [("2001:db8::1", 443)] * 2


def test_user_with_a_colon_cannot_be_sent():
    with pytest.raises(BmcLoginUnusable):
        open_redfish("m", Ipmi("127.0.0.1", 0, "a:b", "p"), Settings(), KNOWN, login_worked=True)


SECRETS = ('se"cret\\pass', "pässwört", "<so&so>", "a.b", "über/haupt'")
WAYS = {
    "json in ascii": lambda said: json.dumps({"error": {"message": said}}).encode(),
    "json in capitals": lambda said: json.dumps({"error": {"message": said}}).replace("\\u00e", "\\u00E").encode(),
    "json in utf-8": lambda said: json.dumps({"error": {"message": said}}, ensure_ascii=False).encode(),
    "json with an id": lambda said: json.dumps({"error": {"code": said, "message": ""}}).encode(),
    "arguments": lambda said: json.dumps({"Messages": [{"MessageID": "a.b", "MessageArgs": [said]}]}).encode(),
    "text": lambda said: said.encode(),
    "text in latin-1": lambda said: said.encode("latin-1"),
    "cut json": lambda said: json.dumps({"error": said}).encode()[:-1],
    "page": lambda said: f"<p>{html.escape(said)}</p>".encode(),
}


@pytest.mark.parametrize("before", ["bad login admin:", "x" * 295 + " "])
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("secret", SECRETS)
def test_password_is_not_told_in_whatever_way_the_bmc_writes_it(make, secret, way, before):
    bmc = make()
    bmc.hook(lambda _: Answer(400, WAYS[way](before + secret)))
    with pytest.raises(BmcRefused) as caught:
        bmc.session(KNOWN, password=secret).power_state()
    told = str(caught.value)
    assert "with 400" in told
    for part in (secret, secret.split('"')[0], "wört", "w\\u00f6rt", "wrt", "so&", "so&amp;", "haupt"):
        assert part not in told.partition("with 400")[2] or part in before


@pytest.mark.parametrize("as_json", [True, False])
def test_login_stands_in_no_error_and_no_repr_even_where_the_bmc_repeats_it(make, as_json):
    bmc = make()

    def repeat(asked):
        said = f"{asked.headers['Authorization']} {PASSWORD}"
        return Answer(400, {"error": {"message": said}} if as_json else said.encode()) if asked.body else None

    bmc.hook(repeat)
    talk = bmc.session(KNOWN)
    with pytest.raises(BmcRefused) as caught:
        talk.power_on()
    told = f"{caught.value!r} {talk!r} {vars(talk)!r}"
    assert PASSWORD not in told
    assert base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()[:8] not in told


def test_command_is_not_sent_where_the_program_stood_still_since_it_asked(make, monkeypatch):
    mock, monotonic, allowed = make(), time.monotonic, RedfishBmc._allowed
    bmc = mock.session()

    def stands_still(*args):
        answer = allowed(*args)
        monkeypatch.setattr(line.time, "monotonic", lambda: monotonic() + 31)
        return answer

    monkeypatch.setattr(RedfishBmc, "_allowed", stands_still)
    with pytest.raises(BmcUnreachable, match="stood still") as refused:
        bmc.power_on()
    assert refused.value.executed is False
    assert mock.executed == []
    assert mock.count("POST") == 0
