from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from app.tls.authority import Authority, AuthorityUnusable, make_authority, open_authority, pem_of
from app.tls.pem import read_certificates

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
YEAR_S = 365 * 86_400

# Made for this test with Go's package: PKCS 8 under a label of its own, and a random subject key identifier.
GO_CERTIFICATE = """\
-----BEGIN CERTIFICATE-----
MIIBSzCB/qADAgECAhEAi+w0QCiSlLrYObZzGBipDDAFBgMrZXAwFTETMBEGA1UE
ChMKc2lkZXJvbGFiczAgFw0yNjExMjMxNDU2MDdaGA8yMDU2MTExNTE0NTYwN1ow
FTETMBEGA1UEChMKc2lkZXJvbGFiczAqMAUGAytlcAMhAAkQdwNWvQ0adGHcjNuW
rowYEuXuXJAjdydfhPSFUAzuo2EwXzAOBgNVHQ8BAf8EBAMCAoQwHQYDVR0lBBYw
FAYIKwYBBQUHAwEGCCsGAQUFBwMCMA8GA1UdEwEB/wQFMAMBAf8wHQYDVR0OBBYE
FAr5E22mLdsHOxRFzs0mswGERJBCMAUGAytlcANBADSFySJ/EhMM8ZcZhfDlavYP
lwk+rYG8fw+bN37OTvVBzlY0p/r0gmXxDQb26PhKpy66X4z2ewa9WGtm6b+7JAA=
-----END CERTIFICATE-----
"""
GO_KEY = """\
-----BEGIN ED25519 PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIGpuKgJze73wWym6pf+YaPqLswl4T3xHUcgPDPi1xjcC
-----END ED25519 PRIVATE KEY-----
"""


def test_new_authority_is_one_of_siderolabs_and_opens():
    authority = make_authority(YEAR_S, NOW)
    certificate, key = open_authority(authority, NOW)
    assert certificate.subject == x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "siderolabs")])
    assert certificate.not_valid_after_utc == NOW + timedelta(days=365)
    assert certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert certificate.extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign
    assert key.public_key() == certificate.public_key()
    assert authority.certificate.startswith("-----BEGIN CERTIFICATE-----\n")


def test_key_has_the_label_that_go_takes():
    key = make_authority(YEAR_S, NOW).key
    assert key.startswith("-----BEGIN ED25519 PRIVATE KEY-----\n")
    assert key.endswith("-----END ED25519 PRIVATE KEY-----\n")


def test_authority_that_go_made_opens():
    certificate, _ = open_authority(Authority(GO_CERTIFICATE, GO_KEY), NOW + timedelta(days=1))
    assert certificate.subject.rfc4514_string() == "O=siderolabs"


def test_key_is_not_shown():
    authority = make_authority(YEAR_S, NOW)
    assert "PRIVATE" not in repr(authority)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda a, b: Authority("", a.key), "no PEM certificate"),
        (lambda a, b: Authority(a.certificate[:200], a.key), "no PEM certificate"),
        (lambda a, b: Authority(a.certificate, ""), "no PEM private key"),
        (lambda a, b: Authority(a.certificate, a.certificate), "no PEM private key"),
        (lambda a, b: Authority(a.certificate, b.key), "not that of the certificate"),
    ],
)
def test_authority_that_cannot_be_read_is_refused(spoil, words):
    spoiled = spoil(make_authority(YEAR_S, NOW), make_authority(YEAR_S, NOW))
    with pytest.raises(AuthorityUnusable, match=words):
        open_authority(spoiled, NOW)


@pytest.mark.parametrize(
    ("now", "words"),
    [
        (NOW + timedelta(days=366), "expired at 2027-11-23 12:00 UTC"),
        (NOW - timedelta(days=1), "valid only from 2026-11-23 11:00 UTC"),
    ],
)
def test_authority_out_of_its_time_is_refused(now, words):
    authority = make_authority(YEAR_S, NOW)
    with pytest.raises(AuthorityUnusable, match=words):
        open_authority(authority, now)


def test_certificate_that_is_no_authority_is_refused():
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "somebody")])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(NOW).not_valid_after(NOW + timedelta(days=1))
    from cryptography.hazmat.primitives import serialization as wire

    text = key.private_bytes(wire.Encoding.PEM, wire.PrivateFormat.TraditionalOpenSSL, wire.NoEncryption()).decode()
    certificate = pem_of(builder.sign(key, hashes.SHA256()))
    with pytest.raises(AuthorityUnusable, match="not one of an authority"):
        open_authority(Authority(certificate, text), NOW)
    assert read_certificates(certificate.encode())
