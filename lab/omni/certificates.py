"""Certificates for stand-ins to serve with: self-made, or signed by an authority that is made as well."""

from __future__ import annotations

import ipaddress
import ssl
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

LIFE = timedelta(days=2)
# A certificate is good at once, also by a clock that is a little behind.
ALREADY = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate with its private key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def pem(self) -> bytes:
        """The certificate, as files hold it."""
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        """The private key, as files hold it."""
        return self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )


def make_authority(name: str) -> Certificate:
    """An authority that signs others."""
    return _make(name, (), None, datetime.now(UTC) + LIFE)


def make_certificate(
    *names: str, authority: Certificate | None = None, common_name: str = "", until: datetime | None = None
) -> Certificate:
    """A server's certificate for these host names and addresses; without an authority it signs itself."""
    return _make(common_name or names[0], names, authority, until or datetime.now(UTC) + LIFE, is_authority=False)


@lru_cache(maxsize=8)
def server_context(certificate: Certificate, *protocols: str) -> ssl.SSLContext:
    """TLS of servers with this certificate; a thousand of them share it. protocols: those of ALPN."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_alpn_protocols(protocols)
    with tempfile.TemporaryDirectory(prefix="omni-metal-lab-tls-") as folder:
        path = Path(folder) / "pem"  # ssl takes keys from files only
        path.write_bytes(certificate.pem + certificate.key_pem)
        context.load_cert_chain(path)
    return context


def _make(
    common_name: str, names: tuple[str, ...], by: Certificate | None, until: datetime, *, is_authority: bool = True
) -> Certificate:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(by.certificate.subject if by else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(min(datetime.now(UTC), until) - ALREADY)
        .not_valid_after(until)
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName([_name(name) for name in names]), critical=False)
    return Certificate(builder.sign(by.key if by else key, hashes.SHA256()), key)


def _name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
