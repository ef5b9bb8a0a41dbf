"""Our own certificate authority, as it is kept in Omni: a certificate and its key, both as PEM texts.

Both programs that may run under a provider's id read it: the labels of the key's PEM are those that Go's
`siderolabs/crypto` writes and takes (docs/omni.md, TLSConfig).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from app.tls.pem import Key, PemUnreadable, read_certificates, read_key

ORGANIZATION: Final = "siderolabs"
# A machine's clock may be behind ours when its agent dials first; an hour covers one that was set by hand.
BACKDATED: Final = timedelta(hours=1)
_LABEL: Final = b"PRIVATE KEY-----"
_GO_LABEL: Final = b"ED25519 PRIVATE KEY-----"
USAGES: Final = (ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH)


class AuthorityUnusable(Exception):
    """A stored authority cannot issue certificates; the text says why, in words for the operator."""


@dataclass(frozen=True, slots=True)
class Authority:
    """The texts that stand in Omni."""

    certificate: str
    key: str = field(repr=False)


def make_authority(life_s: float, now: datetime) -> Authority:
    """A new one.

    Args:
        life_s: how long it is valid, in seconds.
        now: when its life begins.
    """
    key = Ed25519PrivateKey.generate()
    name = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, ORGANIZATION)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(now + timedelta(seconds=life_s))
        .add_extension(key_usage(signs_certificates=True), critical=True)
        .add_extension(x509.ExtendedKeyUsage(USAGES), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, None)
    )
    return Authority(pem_of(certificate), key_pem(key))


def open_authority(authority: Authority, now: datetime) -> tuple[x509.Certificate, Key]:
    """Its certificate and key. Raises AuthorityUnusable: it cannot be read, does not fit together or is not valid."""
    try:
        certificate = read_certificates(authority.certificate.encode())[0]
        key = read_key(authority.key.encode())
    except PemUnreadable as error:
        raise AuthorityUnusable(str(error)) from None
    if key.public_key() != certificate.public_key():
        raise AuthorityUnusable("the key is not that of the certificate")
    if not _may_sign(certificate):
        raise AuthorityUnusable("the certificate is not one of an authority")
    if now > certificate.not_valid_after_utc:
        raise AuthorityUnusable(f"it has expired at {certificate.not_valid_after_utc:%Y-%m-%d %H:%M} UTC")
    if now < certificate.not_valid_before_utc:
        raise AuthorityUnusable(f"it is valid only from {certificate.not_valid_before_utc:%Y-%m-%d %H:%M} UTC on")
    return certificate, key


def key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    """Digital signatures, and certificates where that is asked for."""
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )


def pem_of(certificate: x509.Certificate) -> str:
    """A certificate as PEM."""
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def key_pem(key: Ed25519PrivateKey) -> str:
    """A key as Go's package writes it: PKCS 8 under a label of its own, which OpenSSL does not take."""
    text = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return text.replace(_LABEL, _GO_LABEL).decode()


def _may_sign(certificate: x509.Certificate) -> bool:
    """Whether it says that it is an authority's, and is signed by itself."""
    try:
        certificate.verify_directly_issued_by(certificate)
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except (InvalidSignature, ValueError, TypeError, x509.ExtensionNotFound):
        return False
