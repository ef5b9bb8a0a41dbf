import grpc
import pytest

from app.omni.errors import CertificateRefused, OmniUnavailable
from app.omni.handshake import handshake_words
from app.omni.status import error_for

PREFIX = "failed to connect to all addresses; last error: UNKNOWN: ipv4:127.0.0.1:1: "
TLS = PREFIX + "Tls handshake failed (TSI_PROTOCOL_FAILURE): SSL_ERROR_SSL: error:1:SSL routines:OPENSSL_internal:"


@pytest.mark.parametrize(
    ("details", "said"),
    [
        (TLS + "CERTIFICATE_VERIFY_FAILED: self signed certificate: OK", "not signed by an authority that this system"),
        (TLS + "CERTIFICATE_VERIFY_FAILED: unable to get local issuer certificate: OK", "not signed by an authority"),
        (TLS + "CERTIFICATE_VERIFY_FAILED: certificate has expired: OK", "has expired, or this clock is ahead"),
        (TLS + "CERTIFICATE_VERIFY_FAILED: certificate is not yet valid: OK", "not valid yet, or this clock is behind"),
        (TLS + "WRONG_VERSION_NUMBER", "does not speak TLS"),
        (TLS + "NO_SHARED_CIPHER", "no TLS connection could be agreed on"),
        (
            PREFIX
            + "Custom verification check failed with error: UNAUTHENTICATED: Hostname Verification Check failed.",
            "is for other names than that of --omni-api-endpoint",
        ),
    ],
)
def test_handshake_that_failed_is_said_in_words(details, said):
    assert said in handshake_words(details)
    error = error_for("Get", grpc.StatusCode.UNAVAILABLE, details, "wipe_status/x")
    assert isinstance(error, CertificateRefused)
    assert isinstance(error, OmniUnavailable)
    assert said in str(error)


@pytest.mark.parametrize("details", ["", PREFIX + "Connection refused", "Socket closed"])
def test_call_that_failed_for_something_else_is_not_taken_for_that(details):
    assert handshake_words(details) == ""
    assert type(error_for("Get", grpc.StatusCode.UNAVAILABLE, details)) is OmniUnavailable
