"""`--insecure-skip-tls-verify`: grpc verifies always, so it is told to trust just the certificate that is served.

Omni serves another one some day; then the handshake fails, and app/omni/connection.py has the certificate fetched
again. The one thing that grpc goes on refusing is a certificate that is out of its time.
"""

from __future__ import annotations

import ipaddress
import socket
import ssl
from dataclasses import dataclass

from cryptography import x509
from cryptography.x509.oid import NameOID

from app.omni.endpoint import Endpoint
from app.omni.trust import ssl_context

# A handshake takes two round trips; Omni may be on another continent.
FETCH_TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True)
class Pin:
    """The one certificate to trust. name: one of its names, where it is not for the endpoint's host; else ''."""

    pem: bytes
    name: str


def served_certificate(place: Endpoint, timeout_s: float = FETCH_TIMEOUT_S) -> Pin:
    """The certificate that is served there now. Raises OSError, which ssl.SSLError is too."""
    context = ssl_context(skip_verify=True)
    context.set_alpn_protocols(["h2"])  # a server of grpc alone ends a handshake without it
    with (
        socket.create_connection((place.host, place.port), timeout=timeout_s) as connection,
        context.wrap_socket(connection, server_hostname=place.host) as secured,
    ):
        der = secured.getpeercert(binary_form=True)
    if not der:
        raise ssl.SSLError("no certificate is served")
    names = _names(der)
    other = "" if not names or any(_is_for(name, place.host) for name in names) else _concrete(names)
    return Pin(ssl.DER_cert_to_PEM_cert(der).encode(), other)


def _names(der: bytes) -> list[str]:
    """What the certificate is for; its common name counts where it has no others."""
    try:
        certificate = x509.load_der_x509_certificate(der)
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        hosts = extension.get_values_for_type(x509.DNSName)
        return hosts + [str(address) for address in extension.get_values_for_type(x509.IPAddress)]
    except x509.ExtensionNotFound:
        return [str(name.value) for name in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    except ValueError:
        return []  # an unusual one; grpc will say what is wrong with it


def _is_for(name: str, host: str) -> bool:
    try:
        return ipaddress.ip_address(name) == ipaddress.ip_address(host)
    except ValueError:
        pass
    name, host = name.lower(), host.lower().rstrip(".")
    return name == host or (name.startswith("*.") and name[2:] == host.partition(".")[2])


def _concrete(names: list[str]) -> str:
    """A name that the certificate is for; of `*.example.org`, one that it covers."""
    return min(names, key=lambda name: name.startswith("*")).replace("*", "omni", 1)
