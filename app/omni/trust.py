"""Whom to believe that they are Omni: the certificate authorities that this system trusts.

grpc brings a list of its own, which knows no authority of a company; so it is given the system's, as Python's ssl
finds it (SSL_CERT_FILE and SSL_CERT_DIR included). GRPC_DEFAULT_SSL_ROOTS_FILE_PATH, which grpc itself reads, comes
first.
"""

from __future__ import annotations

import os
import re
import ssl
from functools import cache
from pathlib import Path

GRPC_ROOTS = "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH"
CERTIFICATE = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)
# The names by which OpenSSL finds a certificate in a folder; the others there are the same ones again.
HASHED_NAME = re.compile(r"[0-9a-f]{8}\.[0-9]+")


@cache
def trusted_roots() -> bytes | None:
    """The certificates of all trusted authorities (PEM); None where the system has none, so that grpc's own count."""
    named = os.environ.get(GRPC_ROOTS)
    if named:
        return b"\n".join(_certificates(Path(named))) or None
    paths = ssl.get_default_verify_paths()
    found = _certificates(Path(paths.cafile)) if paths.cafile else {}
    if paths.capath:
        for path in sorted(Path(paths.capath).iterdir()):
            if HASHED_NAME.fullmatch(path.name):
                found |= _certificates(path)
    return b"\n".join(found) or None


def ssl_context(*, skip_verify: bool) -> ssl.SSLContext:
    """How Omni is spoken to other than by grpc, with the same trust."""
    if skip_verify:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context
    roots = trusted_roots()
    context = ssl.create_default_context(cadata=roots.decode("ascii", errors="ignore") if roots else None)
    # Python 3.13 refuses older authorities for what is missing in their certificates; grpc does not.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context


def _certificates(path: Path) -> dict[bytes, None]:
    """The certificates in a file, each once, in their order."""
    try:
        return dict.fromkeys(CERTIFICATE.findall(path.read_bytes()))
    except OSError:
        return {}
