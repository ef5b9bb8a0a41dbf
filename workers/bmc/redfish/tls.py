"""TLS with BMCs: contexts that a process makes once, and a handshake that ends in time."""

from __future__ import annotations

import socket
import ssl
import time
from functools import lru_cache

from urllib3.util.wait import wait_for_read, wait_for_write

_LEGACY_SERVER_CONNECT = 0x4  # ssl names it from Python 3.12 on


@lru_cache(maxsize=2)
def shared_context(*, verify: bool) -> ssl.SSLContext:
    """The one context of this process: to load the system's certificates for each connection takes 100 ms.

    Args:
        verify: against the certificates that the system trusts. Else any certificate will do, and with it the
            versions and ciphers of old BMCs: who checks nothing loses nothing by them.
    """
    if verify:
        return ssl.create_default_context()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    # Keys of 1024 bits and signatures by SHA-1 are what BMCs of 2015 were delivered with.
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    # OpenSSL 3 refuses servers that do not know the safe renegotiation of 2010; iLO 3 and others are such.
    context.options |= _LEGACY_SERVER_CONNECT
    return context


def secured(line: socket.socket, context: ssl.SSLContext, host: str, end_s: float) -> ssl.SSLSocket:
    """The connection with TLS on it; it is closed where that fails.

    Args:
        line: an open connection.
        context: what is accepted.
        host: the name or address that the certificate must be for.
        end_s: when it must be done, by the monotonic clock: under greenlets the socket's own limit counts anew with
            each byte.

    Raises:
        OSError: no TLS came about; ssl.SSLCertVerificationError where the certificate is why.
        ValueError: no certificate can be for such a name.
    """
    try:
        wrapped = context.wrap_socket(line, server_hostname=host, do_handshake_on_connect=False)
    except BaseException:
        line.close()
        raise
    try:
        wrapped.settimeout(0)
        _shake_hands(wrapped, end_s)
    except BaseException:
        wrapped.close()
        raise
    return wrapped


def _shake_hands(line: ssl.SSLSocket, end_s: float) -> None:
    while True:
        try:
            line.do_handshake()
        except ssl.SSLWantReadError:
            ready = wait_for_read(line, max(0.0, end_s - time.monotonic()))
        except ssl.SSLWantWriteError:
            ready = wait_for_write(line, max(0.0, end_s - time.monotonic()))
        else:
            return
        if not ready:
            raise TimeoutError
