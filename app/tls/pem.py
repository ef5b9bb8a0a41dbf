"""Read certificates and keys from PEM texts, of files and of Omni."""

from __future__ import annotations

import re
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

Key = Ed25519PrivateKey | EllipticCurvePrivateKey | RSAPrivateKey

# Go's `siderolabs/crypto` writes PKCS 8 under this label, which is not one that others know.
_GO_LABEL: Final = re.compile(rb"(-----(?:BEGIN|END) )ED25519 (PRIVATE KEY-----)")


class PemUnreadable(Exception):
    """A text holds not what it should; the words say what, and nothing of the text."""


def read_certificates(text: bytes) -> list[x509.Certificate]:
    """All certificates of a text, at least one. Raises PemUnreadable."""
    try:
        return x509.load_pem_x509_certificates(text)
    except ValueError:
        raise PemUnreadable("holds no PEM certificate that can be read") from None


def read_key(text: bytes) -> Key:
    """The private key of a text: Ed25519, ECDSA or RSA. Raises PemUnreadable."""
    try:
        key = load_pem_private_key(_GO_LABEL.sub(rb"\1\2", text), password=None)
    except TypeError:
        raise PemUnreadable("holds a key with a password; it has to be one without") from None
    except (ValueError, UnsupportedAlgorithm):
        raise PemUnreadable("holds no PEM private key that can be read") from None
    if not isinstance(key, Key):
        raise PemUnreadable("holds a key that is none of Ed25519, ECDSA and RSA")
    return key
