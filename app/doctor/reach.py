"""Whether Omni can be reached: its name, its port, and TLS with a certificate that is trusted."""

from __future__ import annotations

import errno
import os
import socket
import ssl
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from urllib.request import proxy_bypass_environment  # type: ignore[attr-defined]  # typeshed does not know it

from cryptography import x509

from app.doctor.finding import Finding, failed, ok, warning
from app.doctor.site import Site
from app.omni.endpoint import Endpoint, parse_endpoint
from app.omni.errors import CertificateRefused, NotOmni, clean
from app.omni.trust import GRPC_ROOTS, ssl_context

# A connection and a handshake take one and two round trips; Omni may be on another continent.
STEP_TIMEOUT_S = 3.0
# What grpc goes by, in its order.
PROXY_VARIABLES = ("grpc_proxy", "https_proxy", "http_proxy")
CHECK_ENDPOINT = "check --omni-api-endpoint (OMNI_ENDPOINT)"
# RFC 9113, sections 3.4 and 4.1.
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
SETTINGS_FRAME = b"\x04"
EMPTY_SETTINGS = b"\0\0\0" + SETTINGS_FRAME + b"\0\0\0\0\0"
FRAME_HEADER_BYTES = 9
TLS_ALERT = b"\x15\x03"
REFUSED = "nothing listens there (connection refused)"


class Unreachable(Exception):
    """One step on the way failed. finding: what is told."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.words)
        self.finding = finding


def look(site: Site) -> Sequence[Finding]:
    """Go the way to Omni, step by step."""
    place = parse_endpoint(site.settings.omni_api_endpoint)
    try:
        _resolve(place)
        with _connect(place) as connection:
            if not place.secure:
                return [greeted(place, _greet(connection))]
            skip_verify = site.settings.insecure_skip_tls_verify
            return [_shake_hands(connection, place, skip_verify=skip_verify)]
    except Unreachable as error:
        proxy = proxy_for(place, os.environ)
        return [through_proxy(error.finding, proxy) if proxy else error.finding]


def _resolve(place: Endpoint) -> None:
    try:
        socket.getaddrinfo(place.host, place.port, type=socket.SOCK_STREAM)
    except OSError as error:
        words = f"the name {place.host} is not known ({clean(error.strerror or str(error))})"
        raise Unreachable(failed(words, f"{CHECK_ENDPOINT}, and the name servers of this host")) from None


def _connect(place: Endpoint) -> socket.socket:
    try:
        return socket.create_connection((place.host, place.port), timeout=STEP_TIMEOUT_S)
    except OSError as error:
        raise Unreachable(not_connected(place, error)) from None


def not_connected(place: Endpoint, error: OSError) -> Finding:
    """What a connection that was not made means."""
    if isinstance(error, ConnectionRefusedError):
        return failed(f"{place.address}: {REFUSED}", f"{CHECK_ENDPOINT} and its port, and whether Omni is running")
    if isinstance(error, TimeoutError):
        words = f"{place.address} does not answer within {STEP_TIMEOUT_S:g} s"
        return failed(words, f"{CHECK_ENDPOINT}, and whether a firewall lets this host through to it")
    if error.errno in (errno.ENETUNREACH, errno.EHOSTUNREACH):
        return failed(f"there is no way to {place.address} ({error.strerror})", "see to this host's network and routes")
    return failed(f"{place.address} cannot be reached ({clean(error.strerror or str(error))})", CHECK_ENDPOINT)


def _greet(connection: socket.socket) -> bytes | None:
    """Say what a client of HTTP/2 says first; the beginning of the answer, or None where none came."""
    try:
        connection.sendall(PREFACE + EMPTY_SETTINGS)
        return connection.recv(FRAME_HEADER_BYTES)
    except TimeoutError:
        return None
    except OSError:
        return b""


def greeted(place: Endpoint, answer: bytes | None) -> Finding:
    """What the answer to a greeting in HTTP/2 means; a server's first frame is one with its settings."""
    if answer is None:
        words = f"{place.address} takes connections, and does not answer within {STEP_TIMEOUT_S:g} s"
        return failed(words, f"{CHECK_ENDPOINT}; write https:// for an Omni with TLS")
    if answer[3:4] == SETTINGS_FRAME:
        return ok(f"{place.address} answers, without TLS")
    if not answer or answer.startswith(TLS_ALERT):
        words = f"what answers at {place.address} does not speak plain HTTP/2; it may want TLS"
        return failed(words, f"{CHECK_ENDPOINT}: write https:// for an Omni with TLS")
    return failed(f"what answers at {place.address} does not speak HTTP/2, which gRPC needs", NotOmni.hint)


def _shake_hands(connection: socket.socket, place: Endpoint, *, skip_verify: bool) -> Finding:
    context = ssl_context(skip_verify=skip_verify)
    context.set_alpn_protocols(["h2", "http/1.1"])
    try:
        with context.wrap_socket(connection, server_hostname=place.host) as secured:
            der, protocol = secured.getpeercert(binary_form=True), secured.selected_alpn_protocol()
    except OSError as error:
        raise Unreachable(not_agreed(place, error)) from None
    return agreed(place, x509.load_der_x509_certificate(der) if der else None, protocol, skip_verify=skip_verify)


def not_agreed(place: Endpoint, error: OSError) -> Finding:
    """What a handshake that failed means."""
    if isinstance(error, ssl.SSLCertVerificationError):
        words = f"the certificate of {place.address} is not trusted: {clean(error.verify_message)}"
        first = f" {GRPC_ROOTS} is set here and comes before all of these." if GRPC_ROOTS in os.environ else ""
        return failed(words, f"{CertificateRefused.hint}{first}")
    if isinstance(error, ssl.SSLError) and error.reason in ("WRONG_VERSION_NUMBER", "HTTP_REQUEST"):
        remedy = f"{CHECK_ENDPOINT}: write http:// for an Omni without TLS, or name the port on which it has TLS"
        return failed(f"what answers at {place.address} does not speak TLS", remedy)
    if isinstance(error, TimeoutError):
        words = f"{place.address} takes connections, and does not answer the TLS handshake within {STEP_TIMEOUT_S:g} s"
        return failed(words, CHECK_ENDPOINT)
    reason = getattr(error, "reason", None) or error.strerror or str(error)
    return failed(f"no TLS connection to {place.address} could be agreed on ({clean(str(reason))})", NotOmni.hint)


def agreed(
    place: Endpoint, certificate: x509.Certificate | None, protocol: str | None, *, skip_verify: bool
) -> Finding:
    """What a handshake that succeeded means. protocol: what is to be spoken over TLS; calls need `h2`."""
    if protocol != "h2":
        spoken = f"speaks {protocol}" if protocol else "does not say what it speaks"
        return failed(f"{place.address} {spoken}, and not HTTP/2, which gRPC needs", NotOmni.hint)
    if not skip_verify:
        return ok(f"{place.address} answers, and its certificate is trusted")
    # All else is not looked at, as was asked for; but grpc goes on refusing this.
    if certificate is not None and (words := _out_of_time(certificate, datetime.now(UTC))):
        remedy = "have Omni serve a newer one: --insecure-skip-tls-verify does not help against this"
        return failed(f"the certificate of {place.address} {words}", remedy)
    return ok(f"{place.address} answers; its certificate is not verified (--insecure-skip-tls-verify)")


def _out_of_time(certificate: x509.Certificate, now: datetime) -> str:
    if now > certificate.not_valid_after_utc:
        return f"expired at {certificate.not_valid_after_utc:%Y-%m-%d %H:%M} UTC"
    if now < certificate.not_valid_before_utc:
        return f"is valid from {certificate.not_valid_before_utc:%Y-%m-%d %H:%M} UTC on, by this clock not yet"
    return ""


def proxy_for(place: Endpoint, environ: Mapping[str, str]) -> str:
    """The variable that names the proxy through which grpc goes to Omni, or ''."""
    if place.loopback:
        return ""
    without = environ.get("no_grpc_proxy") or environ.get("no_proxy") or ""
    if proxy_bypass_environment(place.host, {"no": without}):
        return ""
    return next((name for name in PROXY_VARIABLES if environ.get(name)), "")


def through_proxy(direct: Finding, proxy: str) -> Finding:
    """What a failure of the direct way means where there is a proxy: that the calls may get through all the same."""
    words = f"{direct.words}; calls go through the proxy of the variable {proxy}, which was not tried here"
    return warning(words, f"see below whether calls are answered; else {direct.remedy}")
