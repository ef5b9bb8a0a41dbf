"""Certificates of our own authority with which we show ourselves to agents."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.x509.oid import NameOID

from app.tls.authority import BACKDATED, USAGES, Authority, key_usage, open_authority, pem_of

COMMON_NAME: Final = "omni-infra-provider-"
# The longest that X.509 allows for a common name; an id may have 63.
LONGEST_COMMON_NAME: Final = 64
# A certificate is renewed when less than this part of its life is left.
RENEWED_AT: Final = 0.1


@dataclass(frozen=True, slots=True)
class Leaf:
    """A certificate with its key. issued, expires: its life, without what it was backdated."""

    certificate: str
    key: Ed25519PrivateKey = field(repr=False)
    issued: datetime
    expires: datetime

    def due(self, now: datetime) -> bool:
        """Whether it is time for a new one; also where the clock was put back to before its life."""
        return now > self.expires - (self.expires - self.issued) * RENEWED_AT or now < self.issued - BACKDATED


def issue(authority: Authority, provider_id: str, address: str, life_s: float, now: datetime) -> Leaf:
    """A new certificate for the address under which machines reach us.

    Args:
        authority: who signs.
        provider_id: stands in the common name.
        address: an IP address or a host name.
        life_s: how long it is valid, in seconds; not longer than the authority.
        now: when its life begins.

    Raises:
        AuthorityUnusable: the authority cannot sign.
    """
    issuer, issuer_key = open_authority(authority, now)
    key = Ed25519PrivateKey.generate()
    common_name = (COMMON_NAME + provider_id)[:LONGEST_COMMON_NAME]
    expires = min(now + timedelta(seconds=life_s), issuer.not_valid_after_utc)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)]))
        .issuer_name(issuer.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(expires)
        .add_extension(key_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(USAGES), critical=False)
        .add_extension(x509.SubjectAlternativeName([_name(address)]), critical=False)
        .add_extension(_issued_by(issuer), critical=False)
        .sign(issuer_key, None if isinstance(issuer_key, Ed25519PrivateKey) else hashes.SHA256())
    )
    return Leaf(pem_of(certificate), key, now, expires)


def _name(address: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(address))
    except ValueError:
        return x509.DNSName(address.removesuffix("."))


def _issued_by(issuer: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    """The issuer's own mark; Go makes it of chance, so it cannot be worked out from the key."""
    try:
        mark = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    except x509.ExtensionNotFound:
        return x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.public_key())  # type: ignore[arg-type]
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(mark)
