"""TLS towards Omni: whom we trust, what is said of whom we do not, and pinning."""

import contextlib
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest

from app.omni.client import Omni
from app.omni.errors import CertificateRefused, OmniUnavailable
from app.omni.kinds import Kind
from app.omni.pinning import served_certificate
from app.omni.skew import clock_skew_s
from app.omni.trust import GRPC_ROOTS, trusted_roots
from app.omni.watch import Bootstrap, Changed
from lab.omni.certificates import make_authority, make_certificate
from lab.omni.keys import make_key
from lab.omni.signatures import Signatures
from lab.omni.thread import OmniThread
from tests.integration.deaf_proxy import DeafProxy

pytestmark = pytest.mark.integration

M = "5d8b1f0e-0000-4000-8000-000000000001"
HERE = "127.0.0.1"
# Reconnecting takes half a second, and the certificate is fetched once a second; two busy cores take their time.
SOON_S = 20


@pytest.fixture(scope="module")
def authority():
    return make_authority("our company")


@pytest.fixture
def trust(monkeypatch, tmp_path):
    """Make the system trust an authority, and no other."""

    def only(authority):
        (tmp_path / "ca.pem").write_bytes(authority.pem)
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
        monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path / "none"))
        monkeypatch.delenv(GRPC_ROOTS, raising=False)
        trusted_roots.cache_clear()

    yield only
    trusted_roots.cache_clear()


@contextlib.contextmanager
def serving(certificate, **more):
    """A stand-in with this certificate; `renew` gives it another as a restart does."""
    with OmniThread("bm", certificate=certificate, **more) as server:
        yield server


def renew(server, certificate):
    server.stop()
    server.do(lambda omni: setattr(omni, "certificate", certificate))
    server.start()


def soon(act):
    """Do it until it goes without an OmniUnavailable."""
    deadline = time.monotonic() + SOON_S
    while True:
        try:
            return act()
        except OmniUnavailable:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


def said(server, **more):
    """What is said of the refusal of one answer and of a stream, which must be the same."""
    with Omni(server.endpoint, "bm", **more) as omni:
        with pytest.raises(CertificateRefused) as unary:
            omni.get(Kind.WIPE_STATUS, M)
        with pytest.raises(CertificateRefused) as stream:
            next(omni.watch(Kind.WIPE_STATUS))
    assert unary.value.words == stream.value.words
    return unary.value


# The system's authorities


def test_certificate_of_an_authority_of_the_system_is_trusted(trust, authority):
    trust(authority)
    with serving(make_certificate(HERE, authority=authority)) as server, Omni(server.endpoint, "bm") as omni:
        omni.create(Kind.WIPE_STATUS, M)
        with omni.watch(Kind.WIPE_STATUS) as watch:
            assert len(next(watch).resources) == 1


def test_first_call_to_an_omni_that_is_far_away_is_answered(trust, authority):
    trust(authority)
    with (
        serving(make_certificate(HERE, authority=authority)) as server,
        DeafProxy(int(server.endpoint.rpartition(":")[2])) as proxy,
        Omni(f"https://{HERE}:{proxy.port}", "bm") as omni,
    ):
        proxy.delay_s = 0.3  # for each packet of TLS' and HTTP/2's greetings
        assert omni.get(Kind.INFRA_MACHINE, M) is None


def test_certificate_of_an_unknown_authority_is_refused_in_words(trust, authority):
    trust(make_authority("another"))
    with serving(make_certificate(HERE, authority=authority)) as server:
        error = said(server)
    assert "is not signed by an authority that this system trusts" in error.words
    assert "SSL_CERT_FILE" in error.hint
    assert "--insecure-skip-tls-verify" in error.hint


def test_certificate_that_signs_itself_is_refused_in_words(trust, authority):
    trust(authority)
    with serving(make_certificate(HERE)) as server:
        assert "is not signed by an authority that this system trusts" in said(server).words


def test_certificate_for_another_name_is_refused_in_words(trust, authority):
    trust(authority)
    with serving(make_certificate("omni.example.org", authority=authority)) as server:
        assert "is for other names than that of --omni-api-endpoint" in said(server).words


def test_certificate_that_has_expired_is_refused_in_words(trust, authority):
    trust(authority)
    past = datetime.now(UTC) - timedelta(days=1)
    with serving(make_certificate(HERE, authority=authority, until=past)) as server:
        assert "has expired, or this clock is ahead" in said(server).words


def test_https_towards_an_omni_without_tls_is_refused_in_words():
    with (
        OmniThread("bm") as server,
        Omni(server.endpoint.replace("http:", "https:"), "bm") as omni,
        pytest.raises(CertificateRefused) as caught,
    ):
        omni.get(Kind.WIPE_STATUS, M)
    assert "does not speak TLS" in caught.value.words
    assert "http:// is for an Omni without TLS" in caught.value.hint


# Pinning


@pytest.mark.parametrize(
    "names",
    [(HERE,), ("omni.example.org", HERE), ("omni.example.org",), ("*.example.org",), ("10.1.2.3",), ("fd00::1",)],
    ids=lambda names: names[-1],
)
@pytest.mark.parametrize("signed", [False, True], ids=["by itself", "by an authority"])
def test_pinned_certificate_is_trusted_whoever_signed_it_and_whatever_its_names(names, signed, authority):
    certificate = make_certificate(*names, authority=authority if signed else None)
    with serving(certificate) as server, Omni(server.endpoint, "bm", skip_verify=True) as omni:
        assert omni.list(Kind.WIPE_STATUS) == []


def test_pinned_certificate_with_a_common_name_alone_is_trusted():
    certificate = make_certificate(common_name="omni.example.org")
    with serving(certificate) as server, Omni(server.endpoint, "bm", skip_verify=True) as omni:
        assert omni.list(Kind.WIPE_STATUS) == []


def test_pinned_certificate_that_has_expired_is_refused_in_words():
    past = datetime.now(UTC) - timedelta(days=1)
    with serving(make_certificate(HERE, until=past)) as server:
        assert "has expired, or this clock is ahead" in said(server, skip_verify=True).words


def test_renewed_certificate_is_pinned_anew_without_a_new_client():
    with serving(make_certificate(HERE)) as server, Omni(server.endpoint, "bm", skip_verify=True) as omni:
        omni.create(Kind.WIPE_STATUS, M)
        for certificate in (make_certificate(HERE), make_certificate("omni.example.org"), make_certificate(HERE)):
            renew(server, certificate)
            assert soon(lambda: omni.get(Kind.WIPE_STATUS, M)).id == M


def test_watches_go_on_after_the_certificate_was_renewed():
    with serving(make_certificate(HERE)) as server, Omni(server.endpoint, "bm", skip_verify=True) as omni:
        assert isinstance(next(omni.watch(Kind.WIPE_STATUS)), Bootstrap)
        for certificate in (make_certificate("omni.example.org"), make_certificate(HERE)):
            renew(server, certificate)

            def watched():
                watch = omni.watch(Kind.WIPE_STATUS)
                next(watch)
                return watch

            with soon(watched) as watch:
                omni.update(Kind.WIPE_STATUS, M, lambda d: setattr(d.spec, "last_wipe_id", "w"), create=True)
                assert isinstance(next(watch), Changed)
                omni.remove(Kind.WIPE_STATUS, M)


def test_other_calls_go_on_while_the_certificate_is_pinned_anew():
    with serving(make_certificate(HERE)) as server, Omni(server.endpoint, "bm", skip_verify=True) as omni:
        omni.create(Kind.WIPE_STATUS, M)
        stop = threading.Event()

        def ask():
            while not stop.is_set():
                with contextlib.suppress(OmniUnavailable):
                    omni.get(Kind.WIPE_STATUS, M)

        with ThreadPoolExecutor(8) as threads:
            asking = [threads.submit(ask) for _ in range(8)]
            try:
                for _ in range(3):
                    renew(server, make_certificate(HERE))
                    soon(lambda: omni.get(Kind.WIPE_STATUS, M))
            finally:
                stop.set()
        assert [asked.exception() for asked in asking] == [None] * 8


def test_omni_that_is_away_at_first_is_pinned_when_it_comes():
    with serving(make_certificate(HERE)) as server:
        server.stop()
        with Omni(server.endpoint, "bm", skip_verify=True) as omni:
            for call in (
                lambda: omni.get(Kind.WIPE_STATUS, M),
                lambda: omni.list(Kind.WIPE_STATUS),
                lambda: next(omni.watch(Kind.WIPE_STATUS)),
            ):
                with pytest.raises(OmniUnavailable, match=r"no certificate could be fetched: .*refused"):
                    call()
            server.start()
            assert soon(lambda: omni.list(Kind.WIPE_STATUS)) == []


def test_omni_that_says_nothing_is_given_up_and_not_asked_by_each_caller(monkeypatch):
    with socket.create_server((HERE, 0)) as silent:
        quickly = partial(served_certificate, timeout_s=0.3)
        monkeypatch.setattr("app.omni.connection.served_certificate", quickly)
        with Omni(f"https://{HERE}:{silent.getsockname()[1]}", "bm", skip_verify=True) as omni:
            began_s = time.monotonic()
            for _ in range(20):
                with pytest.raises(OmniUnavailable, match=r"no certificate could be fetched: .*timed out"):
                    omni.get(Kind.WIPE_STATUS, M)
            assert time.monotonic() - began_s < 20 * 0.3


# The clock


@pytest.mark.parametrize("ahead_s", [-400, 0, 400])
def test_skew_is_found_with_and_without_tls(ahead_s, trust, authority):
    trust(authority)
    signatures = Signatures(make_key("bm"), clock=lambda: time.time() - ahead_s)
    for certificate, skip in (
        (None, False),
        (make_certificate(HERE), True),
        (make_certificate(HERE, authority=authority), False),
    ):
        with OmniThread("bm", signatures=signatures, certificate=certificate) as server:
            assert clock_skew_s(server.endpoint, skip_verify=skip) == pytest.approx(ahead_s, abs=2)


def test_skew_of_a_server_that_is_not_trusted_is_not_known(trust, authority):
    trust(authority)
    with serving(make_certificate(HERE)) as server:
        assert clock_skew_s(server.endpoint) is None


def test_skew_of_a_server_that_is_away_or_says_nothing_is_not_known():
    with socket.create_server((HERE, 0)) as silent:
        port = silent.getsockname()[1]
        began_s = time.monotonic()
        assert clock_skew_s(f"http://{HERE}:{port}", timeout_s=0.3) is None
        assert clock_skew_s(f"https://{HERE}:{port}", skip_verify=True, timeout_s=0.3) is None
        assert time.monotonic() - began_s < 5
    assert clock_skew_s(f"http://{HERE}:{port}") is None


def test_skew_of_a_server_without_a_date_is_not_known(monkeypatch):
    monkeypatch.setattr("lab.omni.front.formatdate", lambda *_, **__: "yesterday")
    with OmniThread("bm", signatures=Signatures(make_key("bm"))) as server:
        assert clock_skew_s(server.endpoint) is None
