"""What OpenSSL serves a certificate with: TLS 1.3 and nothing older, HTTP/2 and nothing else."""

from __future__ import annotations

import os
import secrets
import ssl
import tempfile
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives import serialization

from app.tls.pem import Key

# Go's gRPC ends a connection on which HTTP/2 was not agreed on.
PROTOCOLS: Final = ["h2"]


class KeyRefused(Exception):
    """OpenSSL does not take a certificate or its key; the text is its own."""


def server_context(certificate: str, key: Key) -> ssl.SSLContext:
    """A context for new connections; those that stand keep theirs.

    Args:
        certificate: PEM, with those that lead to the CA behind it.
        key: the first certificate's.

    Raises:
        KeyRefused: OpenSSL cannot serve them.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    # An agent dials once and stays: there is no session to come back to.
    context.num_tickets = 0
    context.set_alpn_protocols(PROTOCOLS)
    try:
        _load(context, certificate, key)
    except ssl.SSLError as error:
        raise KeyRefused(error.reason or str(error)) from None
    return context


def _load(context: ssl.SSLContext, certificate: str, key: Key) -> None:
    """OpenSSL only reads files. For that moment the key is in one, under a password that nobody is told."""
    password = secrets.token_bytes(32).hex().encode()
    sealed = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(password),
    )
    with tempfile.TemporaryDirectory(prefix="omni-metal-") as folder:
        path = Path(folder) / "certificate.pem"
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(sealed + certificate.encode())
        context.load_cert_chain(path, password=password)
