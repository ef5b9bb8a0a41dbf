"""Signed calls against a stand-in Omni that is as strict as a real one."""

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from app.omni.account import read_account
from app.omni.client import Omni
from app.omni.connect import connect_omni
from app.omni.errors import NotAuthenticated
from app.omni.kinds import Kind
from app.omni.watch import Bootstrap, Changed
from config.settings import Settings
from lab.bench.signed_calls import best_second
from lab.omni.certificates import make_certificate
from lab.omni.keys import Encoding, make_key
from lab.omni.signatures import Signatures
from lab.omni.thread import OmniThread

pytestmark = pytest.mark.integration

M = "5d8b1f0e-0000-4000-8000-000000000001"
LEAST_CALLS_PER_S = 400


@pytest.fixture
def key():
    return make_key("bm", created_s=int(time.time()) - 3600)


@pytest.fixture
def signatures(key):
    return Signatures(key)


@pytest.fixture
def server(signatures):
    with OmniThread("bm", signatures=signatures) as stand_in:
        yield stand_in


def _client(server, key, **more):
    return connect_omni(
        Settings(omni_api_endpoint=server.endpoint, id="bm", service_account_key=key.variable if key else "", **more)
    )


def _refused(server, signatures, signer, why):
    """The same refusal for one answer, for many and for a stream; the reason is in the stand-in's log alone."""
    with Omni(server.endpoint, "bm", signer=signer) as omni:
        for call in (
            lambda: omni.get(Kind.WIPE_STATUS, M),
            lambda: omni.create(Kind.WIPE_STATUS, M),
            lambda: omni.list(Kind.WIPE_STATUS),
            lambda: next(omni.watch(Kind.WIPE_STATUS)),
        ):
            signatures.refusals.clear()
            with pytest.raises(NotAuthenticated, match="invalid signature") as caught:
                call()
            assert why in signatures.refusals[0]
            assert why not in str(caught.value)
    assert server.do(lambda o: o.list(Kind.WIPE_STATUS)) == []


@pytest.mark.parametrize("encoding", Encoding)
def test_all_kinds_of_calls_are_signed(encoding):
    key = make_key("bm", encoding=encoding)
    with OmniThread("bm", signatures=Signatures(key)) as server, _client(server, key) as omni:
        omni.create(Kind.WIPE_STATUS, M)
        with omni.watch(Kind.WIPE_STATUS) as watch:
            assert isinstance(next(watch), Bootstrap)
            omni.update(Kind.WIPE_STATUS, M, lambda d: setattr(d.spec, "last_wipe_id", "w"))
            assert isinstance(next(watch), Changed)
        assert [r.id for r in omni.list(Kind.WIPE_STATUS)] == [M]
        omni.remove(Kind.WIPE_STATUS, M)
        assert omni.get(Kind.WIPE_STATUS, M) is None


def test_call_without_a_signature_is_refused(server, signatures):
    _refused(server, signatures, None, "0 headers x-sidero-payload")


def test_call_of_an_unknown_key_is_refused(server, signatures):
    _refused(server, signatures, read_account(make_key("bm").variable).sign, "no such key")


@pytest.mark.parametrize("off_s", [-330, 330])
def test_call_of_a_clock_that_is_too_far_off_is_refused(server, signatures, key, off_s):
    account = read_account(key.variable)
    _refused(server, signatures, lambda method: account.sign(method, time.time() + off_s), "s off")


@pytest.mark.parametrize("off_s", [-270, 270])
def test_call_of_a_clock_that_is_a_little_off_is_answered(server, key, off_s):
    account = read_account(key.variable)
    with Omni(server.endpoint, "bm", signer=lambda method: account.sign(method, time.time() + off_s)) as omni:
        assert omni.list(Kind.WIPE_STATUS) == []


def test_signature_for_another_method_is_refused(server, signatures, key):
    account = read_account(key.variable)
    _refused(server, signatures, lambda _: account.sign("/cosi.resource.State/Destroy"), "signed for")


def test_changed_header_is_refused(server, signatures, key):
    account = read_account(key.variable)

    def changed(method):
        (time_name, time_text), *rest = account.sign(method)
        return ((time_name, str(int(time_text) - 1)), *rest)

    _refused(server, signatures, changed, "x-sidero-timestamp is not the one that was signed")


def test_header_that_should_have_been_signed_is_refused(server, signatures, key):
    account = read_account(key.variable)
    _refused(server, signatures, lambda method: (*account.sign(method), ("runtime", "Omni")), "the header runtime")


def test_account_that_is_deleted_keeps_its_open_watch_and_is_refused_another(server, signatures, key):
    with _client(server, key) as omni, omni.watch(Kind.WIPE_STATUS) as watch:
        next(watch)
        server.do(lambda _: signatures.forget(key))
        server.do(lambda o: o._store.create(_wipe_status(), "bm.WipeStatusController"))
        assert next(watch).resource.id == M
        with pytest.raises(NotAuthenticated):
            next(omni.watch(Kind.WIPE_STATUS))
        with pytest.raises(NotAuthenticated):
            omni.get(Kind.WIPE_STATUS, M)


def _wipe_status():
    from app.omni.resource import Draft, blank

    return Draft(blank(Kind.WIPE_STATUS, "bm", M)).build()


def test_wrong_clock_is_said_where_omni_refuses(key):
    ahead = Signatures(key, clock=lambda: time.time() - 400)
    with OmniThread("bm", signatures=ahead) as server, _client(server, key) as omni:
        said = r"invalid signature; this clock is (399|400|401) s ahead of Omni's \(it allows 300 s\)"
        with pytest.raises(NotAuthenticated, match=said):
            omni.get(Kind.WIPE_STATUS, M)
        with pytest.raises(NotAuthenticated, match=said):
            next(omni.watch(Kind.WIPE_STATUS))


def test_right_clock_is_not_accused(server):
    with _client(server, make_key("bm")) as omni, pytest.raises(NotAuthenticated) as caught:
        omni.get(Kind.WIPE_STATUS, M)
    assert "clock" not in str(caught.value)


def test_threads_share_one_client(server, key):
    with _client(server, key) as omni, ThreadPoolExecutor(50) as threads:
        ids = [f"m{number}" for number in range(50)]
        list(threads.map(lambda id_: omni.update(Kind.WIPE_STATUS, id_, lambda _: None, create=True), ids, timeout=20))
        assert len(omni.list(Kind.WIPE_STATUS)) == 50


GREENLETS = """
from gevent import monkey
monkey.patch_all()
import grpc.experimental.gevent
grpc.experimental.gevent.init_gevent()
import os
import sys
import gevent
from app.omni.connect import connect_omni
from app.omni.kinds import Kind
from config.settings import Settings

settings = Settings(omni_api_endpoint=sys.argv[1], id="bm", service_account_key=os.environ["OMNI_SERVICE_ACCOUNT_KEY"],
                    insecure_skip_tls_verify=True)
omni = connect_omni(settings)
def act(n):
    omni.update(Kind.WIPE_STATUS, f"m{n}", lambda d: setattr(d.spec, "last_wipe_id", str(n)), create=True)
gevent.joinall([gevent.spawn(act, n) for n in range(50)], timeout=20, raise_error=True)
print(len(omni.list(Kind.WIPE_STATUS)))
"""


def test_greenlets_share_one_client_that_is_pinned_and_signs(signatures, key):
    with OmniThread("bm", signatures=signatures, certificate=make_certificate("omni.lab")) as server:
        child = subprocess.run(
            [sys.executable, "-c", GREENLETS, server.endpoint],
            env={**os.environ, "PYTHONPATH": str(Path.cwd()), "OMNI_SERVICE_ACCOUNT_KEY": key.variable},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert child.stdout.strip() == "50", child.stderr


@pytest.mark.parametrize("certificate", [None, make_certificate("omni.lab")], ids=["plain", "TLS"])
def test_one_connection_carries_four_hundred_signed_calls_a_second(certificate):
    assert best_second(certificate, enough=LEAST_CALLS_PER_S) >= LEAST_CALLS_PER_S
