import ipaddress
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from app.tls.authority import Authority, AuthorityUnusable, make_authority
from app.tls.leaf import issue
from app.tls.pem import read_certificates

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
DAY_S = 86_400
AUTHORITY = make_authority(365 * DAY_S, NOW)


def certificate_of(leaf):
    return read_certificates(leaf.certificate.encode())[0]


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("192.0.2.7", x509.IPAddress(ipaddress.ip_address("192.0.2.7"))),
        ("2001:db8::7", x509.IPAddress(ipaddress.ip_address("2001:db8::7"))),
        ("provider.example.com", x509.DNSName("provider.example.com")),
        ("provider.example.com.", x509.DNSName("provider.example.com")),
    ],
)
def test_certificate_is_for_the_address_and_signed_by_the_authority(address, name):
    certificate = certificate_of(issue(AUTHORITY, "bare-metal", address, DAY_S, NOW))
    assert list(certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value) == [name]
    certificate.verify_directly_issued_by(read_certificates(AUTHORITY.certificate.encode())[0])
    assert certificate.subject.rfc4514_string() == "CN=omni-infra-provider-bare-metal"
    assert certificate.not_valid_after_utc == NOW + timedelta(days=1)
    usages = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert ExtendedKeyUsageOID.SERVER_AUTH in usages


def test_longest_id_still_makes_a_certificate():
    certificate = certificate_of(issue(AUTHORITY, "a" * 63, "192.0.2.7", DAY_S, NOW))
    assert len(certificate.subject.rfc4514_string()) == len("CN=") + 64


def test_certificate_is_due_when_a_tenth_of_its_life_is_left():
    leaf = issue(AUTHORITY, "bare-metal", "192.0.2.7", 100 * 60, NOW)
    assert not leaf.due(NOW)
    assert not leaf.due(NOW + timedelta(minutes=89))
    assert leaf.due(NOW + timedelta(minutes=91))
    assert leaf.due(NOW + timedelta(days=9))


def test_certificate_is_due_when_the_clock_was_put_back():
    leaf = issue(AUTHORITY, "bare-metal", "192.0.2.7", DAY_S, NOW)
    assert leaf.due(NOW - timedelta(hours=2))


def test_certificate_does_not_outlive_its_authority():
    now = NOW + timedelta(days=364)
    leaf = issue(AUTHORITY, "bare-metal", "192.0.2.7", 30 * DAY_S, now)
    assert leaf.expires == certificate_of(leaf).not_valid_after_utc == NOW + timedelta(days=365)
    assert not leaf.due(now)


def test_expired_authority_issues_nothing():
    with pytest.raises(AuthorityUnusable):
        issue(AUTHORITY, "bare-metal", "192.0.2.7", DAY_S, NOW + timedelta(days=366))


def test_authority_with_an_ecdsa_key_issues_as_well():
    authority = ecdsa_authority()
    certificate = certificate_of(issue(authority, "bare-metal", "192.0.2.7", DAY_S, NOW))
    certificate.verify_directly_issued_by(read_certificates(authority.certificate.encode())[0])


def test_key_is_not_shown():
    assert "ey=" not in repr(issue(AUTHORITY, "bare-metal", "192.0.2.7", DAY_S, NOW))


def ecdsa_authority():
    from cryptography.hazmat.primitives import hashes

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(NOW).not_valid_after(NOW + timedelta(days=9))
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    certificate = builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()
    text = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
    return Authority(certificate, text.decode())
