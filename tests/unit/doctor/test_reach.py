"""What each end of the way to Omni means."""

import errno
import ssl
from datetime import UTC, datetime, timedelta

import pytest

from app.doctor import reach
from app.doctor.finding import Verdict, failed
from app.omni.endpoint import Endpoint
from app.omni.trust import GRPC_ROOTS
from lab.omni.certificates import make_certificate

OMNI = Endpoint("omni.test", 443, secure=True)


@pytest.mark.parametrize(
    ("error", "words", "remedy"),
    [
        (ConnectionRefusedError(), "omni.test:443: nothing listens there", "--omni-api-endpoint"),
        (TimeoutError(), "omni.test:443 does not answer within 3 s", "firewall"),
        (OSError(errno.ENETUNREACH, "Network is unreachable"), "there is no way to omni.test:443", "routes"),
        (OSError(errno.EPERM, "Not permitted"), "cannot be reached (Not permitted)", "--omni-api-endpoint"),
    ],
)
def test_connection_that_is_not_made_is_said(error, words, remedy):
    finding = reach.not_connected(OMNI, error)
    assert finding.verdict is Verdict.FAILED
    assert words in finding.words
    assert remedy in finding.remedy


def untrusted():
    error = ssl.SSLCertVerificationError()
    error.verify_message = "unable to get local issuer certificate"
    return error


def of_reason(reason):
    error = ssl.SSLError()
    error.reason = reason
    return error


@pytest.mark.parametrize(
    ("error", "words", "remedy"),
    [
        (untrusted(), "is not trusted: unable to get local issuer certificate", "--insecure-skip-tls-verify"),
        (of_reason("WRONG_VERSION_NUMBER"), "does not speak TLS", "http://"),
        (of_reason("TLSV1_ALERT_INTERNAL_ERROR"), "TLSV1_ALERT_INTERNAL_ERROR", "proxy"),
        (TimeoutError(), "does not answer the TLS handshake", "--omni-api-endpoint"),
        (ConnectionResetError(errno.ECONNRESET, "Connection reset"), "Connection reset", "--omni-api-endpoint"),
    ],
)
def test_handshake_that_fails_is_said(error, words, remedy):
    finding = reach.not_agreed(OMNI, error)
    assert finding.verdict is Verdict.FAILED
    assert words in finding.words
    assert remedy in finding.remedy


def test_variable_that_comes_before_the_system_is_named_where_it_is_set(monkeypatch):
    monkeypatch.delenv(GRPC_ROOTS, raising=False)
    assert GRPC_ROOTS not in reach.not_agreed(OMNI, untrusted()).remedy
    monkeypatch.setenv(GRPC_ROOTS, "/etc/roots.pem")
    assert GRPC_ROOTS in reach.not_agreed(OMNI, untrusted()).remedy


@pytest.mark.parametrize(
    ("answer", "verdict", "words", "remedy"),
    [
        (bytes.fromhex("000012040000000000"), Verdict.OK, "answers, without TLS", ""),
        (None, Verdict.FAILED, "does not answer within 3 s", "https://"),
        (b"", Verdict.FAILED, "it may want TLS", "https://"),
        (bytes.fromhex("15030300020246"), Verdict.FAILED, "it may want TLS", "https://"),
        (b"HTTP/1.1 ", Verdict.FAILED, "does not speak HTTP/2", "proxy"),
    ],
)
def test_answer_without_tls_is_judged(answer, verdict, words, remedy):
    finding = reach.greeted(OMNI, answer)
    assert finding.verdict is verdict
    assert words in finding.words
    assert remedy in finding.remedy


@pytest.mark.parametrize(
    ("protocol", "words"), [("http/1.1", "speaks http/1.1"), (None, "does not say what it speaks")]
)
def test_proxy_that_speaks_no_http_2_is_said(protocol, words):
    finding = reach.agreed(OMNI, None, protocol, skip_verify=False)
    assert finding.verdict is Verdict.FAILED
    assert words in finding.words
    assert "proxy" in finding.remedy


def test_certificate_that_is_not_verified_must_be_in_its_time_all_the_same():
    good = make_certificate("omni.test").certificate
    ended = make_certificate("omni.test", until=datetime.now(UTC) - timedelta(days=1)).certificate
    assert reach.agreed(OMNI, good, "h2", skip_verify=True).verdict is Verdict.OK
    finding = reach.agreed(OMNI, ended, "h2", skip_verify=True)
    assert finding.verdict is Verdict.FAILED
    assert "expired at" in finding.words
    assert "does not help" in finding.remedy


@pytest.mark.parametrize(
    ("place", "environ", "proxy"),
    [
        (OMNI, {}, ""),
        (OMNI, {"https_proxy": "http://proxy.test:3128"}, "https_proxy"),
        (OMNI, {"grpc_proxy": "http://a", "https_proxy": "http://b"}, "grpc_proxy"),
        (OMNI, {"https_proxy": "http://proxy.test:3128", "no_proxy": "omni.test"}, ""),
        (OMNI, {"https_proxy": "http://proxy.test:3128", "no_grpc_proxy": ".test"}, ""),
        (Endpoint("127.0.0.1", 443, secure=True), {"https_proxy": "http://proxy.test:3128"}, ""),
    ],
)
def test_proxy_of_grpc_is_found(place, environ, proxy):
    assert reach.proxy_for(place, environ) == proxy


def test_where_there_is_a_proxy_the_direct_way_need_not_be_open():
    finding = reach.through_proxy(failed("omni.test:443 does not answer", "check it"), "https_proxy")
    assert finding.verdict is Verdict.WARNING
    assert "proxy of the variable https_proxy" in finding.words
