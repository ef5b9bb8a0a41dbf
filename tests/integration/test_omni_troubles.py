"""Each trouble that an operator may have with Omni, over the wire: told by a code of its own, with its own remedy."""

import contextlib
import http.server
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest

from app.omni.connect import connect_omni
from app.omni.errors import OmniError
from app.omni.kinds import Kind
from config.settings import Settings
from lab.omni.certificates import make_certificate
from lab.omni.keys import make_key
from lab.omni.signatures import Signatures
from lab.omni.thread import OmniThread

pytestmark = pytest.mark.integration

M = "5d8b1f0e-0000-4000-8000-000000000001"
HOUR_S = 3600


def old_key(**more):
    return make_key("bm", created_s=int(time.time()) - HOUR_S, **more)


def troubles(endpoint, key=None, **more):
    """What one answer and a stream fail with, which must be the same."""
    settings = Settings(omni_api_endpoint=endpoint, id="bm", service_account_key=key.variable if key else "", **more)
    with connect_omni(settings) as omni:
        with pytest.raises(OmniError) as unary:
            omni.get(Kind.WIPE_STATUS, M)
        with pytest.raises(OmniError) as stream:
            next(omni.watch(Kind.WIPE_STATUS))
    assert type(unary.value) is type(stream.value)
    assert unary.value.hint
    return unary.value


@contextlib.contextmanager
def omni(**checks):
    with OmniThread("bm", **checks) as server:
        yield server


def test_account_that_is_unknown_or_was_deleted_is_told_as_the_keys_trouble():
    key = old_key()
    signatures = Signatures(key)
    with omni(signatures=signatures) as server:
        assert troubles(server.endpoint, old_key()).code == "key-refused"
        signatures.forget(key)
        error = troubles(server.endpoint, key)
    assert (error.code, "clock" in str(error)) == ("key-refused", False)
    assert "OMNI_SERVICE_ACCOUNT_KEY" in error.hint


def test_call_without_a_key_is_the_keys_trouble():
    with omni(signatures=Signatures(old_key())) as server:
        assert troubles(server.endpoint).code == "key-refused"


def test_key_that_has_expired_meanwhile_is_told_with_its_time():
    key = old_key(life_s=HOUR_S - 10)
    with omni(signatures=Signatures(key)) as server:
        error = troubles(server.endpoint, key)
    assert (error.code, "renewkey" in error.hint) == ("key-expired", True)
    assert "the key expired at 20" in error.words


@pytest.mark.parametrize("off_s", [400, -400])
def test_wrong_clock_is_told_as_such_and_not_the_key_accused(off_s):
    key = old_key()
    with omni(signatures=Signatures(key, clock=lambda: time.time() - off_s)) as server:
        error = troubles(server.endpoint, key)
    assert (error.code, "NTP" in error.hint) == ("clock-skew", True)
    assert "this clock is" in error.words


def test_clock_that_is_a_little_off_is_not_why_an_unknown_key_is_refused():
    with omni(signatures=Signatures(old_key(), clock=lambda: time.time() - 100)) as server:
        error = troubles(server.endpoint, old_key())
    assert error.code == "key-refused"
    assert "this clock is" in error.words


def test_clock_that_cannot_be_compared_is_said(monkeypatch):
    monkeypatch.setattr("app.omni.skew.clock_skew_s", lambda *_, **__: None)
    with omni(signatures=Signatures(old_key())) as server:
        error = troubles(server.endpoint, old_key())
    assert (error.code, "Omni's clock could not be read" in error.words) == ("key-refused", True)


REFUSALS = [
    (grpc.StatusCode.PERMISSION_DENIED, 'infra provider with name "bm" is not registered in the system',
     "not-registered", "omnictl infraprovider create ID"),
    (grpc.StatusCode.PERMISSION_DENIED, "insufficient role: Reader", "wrong-role", "role InfraProvider"),
    (grpc.StatusCode.FAILED_PRECONDITION, "EULA has not been accepted", "eula-not-accepted", "Accept the EULA"),
    (grpc.StatusCode.UNAVAILABLE, "overloaded", "omni-unreachable", "--omni-api-endpoint"),
]  # fmt: skip


@pytest.mark.parametrize(("code", "words", "told", "remedy"), REFUSALS)
def test_refusal_of_all_calls_is_told_by_its_reason(code, words, told, remedy):
    with omni() as server:
        server.do(lambda o: o.refuse_all(code, words))
        error = troubles(server.endpoint)
    assert (error.code, remedy in error.hint, words in error.words) == (told, True, True)


def test_omni_that_is_away_is_unreachable():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    error = troubles(f"http://127.0.0.1:{port}")
    assert (error.code, "--omni-api-endpoint" in error.hint) == ("omni-unreachable", True)


def test_certificate_of_an_unknown_authority_is_not_trusted():
    with omni(certificate=make_certificate("127.0.0.1")) as server:
        error = troubles(server.endpoint)
    assert (error.code, "--insecure-skip-tls-verify" in error.hint) == ("certificate-not-trusted", True)


def test_grpc_server_that_is_no_omni_is_told():
    server = grpc.server(ThreadPoolExecutor(1))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        assert troubles(f"http://127.0.0.1:{port}").code == "not-omni"
    finally:
        server.stop(None).wait()


def test_web_server_that_is_no_omni_is_told():
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        assert troubles(f"http://127.0.0.1:{server.server_address[1]}").code == "not-omni"
        server.shutdown()


def test_record_of_another_owner_is_an_owner_conflict():
    with omni() as server, connect_omni(Settings(omni_api_endpoint=server.endpoint, id="bm")) as client:
        made = client.create(Kind.WIPE_STATUS, M)
        place = server.do(lambda o: o._place(Kind.WIPE_STATUS))
        raw = type(made.raw)()
        raw.CopyFrom(made.raw)
        raw.metadata.owner = ""
        server.do(lambda o: (o._store.destroy(place, M, made.owner), o._store.create(raw, "else")))
        with pytest.raises(OmniError) as caught:
            client.destroy(Kind.WIPE_STATUS, M)
    assert (caught.value.code, "Another program" in caught.value.hint) == ("owner-conflict", True)
