"""Have iPXE trust a CA of the operator's own for https: `--tls-custom-ipxe-ca-cert-file`.

iPXE trusts one root, which it knows by the SHA-256 of its certificate. That stands in each EFI binary once and in
plain, so another takes its place. The BIOS binary is compressed: it keeps trusting iPXE's own root.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import Encoding

from app.boot.ipxe.binaries import Binary
from app.boot.regular_file import FileUnfit, read_regular
from app.errors import StartError
from app.tls.pem import PemUnreadable, read_certificates
from config.settings import Settings

OPTION: Final = "tls-custom-ipxe-ca-cert-file"
IPXE_ROOT: Final = bytes.fromhex("9faf717b7f8ca2f93c256c79f8ac5591895d66d1ff3bee6397a70d29c65eed1a")
"""The SHA-256 of iPXE's own root certificate, as iPXE is built with it."""

# A certificate has one or two KB; texts around it may stand in the file.
_LARGEST_BYTES: Final = 1024 * 1024
# What iPXE 1.21 can verify is signed with RSA (PKCS 1 v1.5). Others it cannot even read.
_SIGNATURE_OIDS: Final = frozenset(
    {
        x509.SignatureAlgorithmOID.RSA_WITH_SHA1,
        x509.SignatureAlgorithmOID.RSA_WITH_SHA224,
        x509.SignatureAlgorithmOID.RSA_WITH_SHA256,
        x509.SignatureAlgorithmOID.RSA_WITH_SHA384,
        x509.SignatureAlgorithmOID.RSA_WITH_SHA512,
    }
)


class CaUnfit(Exception):
    """iPXE cannot be made to trust this CA; the words say why, with the remedy."""


def check_ipxe_ca(settings: Settings, now: datetime) -> Iterator[tuple[str, str]]:
    """The name of the option with what is wrong with its file and the remedy, if anything is."""
    path = settings.tls_custom_ipxe_ca_cert_file
    if path is None:
        return
    try:
        fingerprint(path, now)
    except CaUnfit as error:
        yield OPTION, str(error)


def with_own_ca(binaries: Mapping[Binary, bytes], path: Path) -> Mapping[Binary, bytes]:
    """The same binaries; those for UEFI trust the CA of this file instead of iPXE's own root.

    Raises:
        StartError: the CA is unfit, or a binary is not one whose root can be replaced.
    """
    try:
        own = fingerprint(path, datetime.now(UTC))
    except CaUnfit as error:
        raise StartError(f"--{OPTION}={path}: {error}") from None
    return {binary: _patched(binary, content, own) for binary, content in binaries.items()}


def fingerprint(path: Path, now: datetime) -> bytes:
    """The SHA-256 of the one certificate of a file, which iPXE accepts as a root. Raises CaUnfit."""
    certificate = _read(path)
    if now > certificate.not_valid_after_utc:
        raise CaUnfit(f"has expired at {certificate.not_valid_after_utc:%Y-%m-%d %H:%M} UTC; name a newer one")
    of_rsa = certificate.signature_algorithm_oid in _SIGNATURE_OIDS
    if not of_rsa or not isinstance(certificate.public_key(), RSAPublicKey):
        raise CaUnfit("is not an RSA certificate, and iPXE can verify no other; name a CA with an RSA key")
    if not _is_ca(certificate):
        raise CaUnfit("is not the certificate of a CA (basic constraints), so iPXE would not let it sign; name a CA")
    return hashlib.sha256(certificate.public_bytes(Encoding.DER)).digest()


def _read(path: Path) -> x509.Certificate:
    try:
        certificates = read_certificates(read_regular(path, _LARGEST_BYTES))
    except FileNotFoundError:
        raise CaUnfit("is not there; name a file with one PEM certificate") from None
    except (FileUnfit, PemUnreadable) as error:
        raise CaUnfit(f"{error}; name a file with one PEM certificate") from None
    if len(certificates) != 1:
        raise CaUnfit(f"holds {len(certificates)} certificates, and iPXE trusts one; leave the CA alone in it")
    return certificates[0]


def _is_ca(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except (x509.ExtensionNotFound, ValueError):
        return False


def _patched(binary: Binary, content: bytes, own: bytes) -> bytes:
    if not binary.is_efi:
        return content
    count = content.count(IPXE_ROOT)
    if count != 1:
        raise StartError(
            f"--{OPTION}: the iPXE binary {binary} holds the fingerprint of iPXE's own root {count} times, not once, "
            "so no other CA can take its place; use the binaries of `omni-metal ipxe`, or have your own trust your CA "
            "when they are built, and leave this option out"
        )
    return content.replace(IPXE_ROOT, own)
