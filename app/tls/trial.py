"""A handshake in memory: would somebody who trusts these certificates take ours?"""

from __future__ import annotations

import ssl

from app.tls.context import KeyRefused, server_context
from app.tls.pem import Key


class Refused(Exception):
    """The client of the trial refused; the text says why."""


def shake_hands(certificate: str, key: Key, trusted: str) -> None:
    """Try it. Whether it is for our address is not looked at: OpenSSL is stricter there than Go.

    Args:
        certificate: what is shown, PEM.
        key: its key.
        trusted: PEM of the certificates that the client trusts.

    Raises:
        Refused: it would not work.
    """
    trust = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trust.check_hostname = False
    # Go trusts any certificate that it is told to, not only one that is signed by itself.
    trust.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    try:
        trust.load_verify_locations(cadata=trusted)
        client = trust.wrap_bio(down, up)
        server = server_context(certificate, key).wrap_bio(up, down, server_side=True)
        if not _talk(client, server):
            raise Refused("the handshake does not come to its end")
    except ssl.SSLCertVerificationError as error:
        raise Refused(error.verify_message) from None
    except KeyRefused as error:
        raise Refused(str(error)) from None
    except ssl.SSLError as error:
        raise Refused(error.reason or str(error)) from None


def _talk(client: ssl.SSLObject, server: ssl.SSLObject) -> bool:
    """Whether both sides come to the end. TLS 1.3 takes one round trip and a half."""
    for _ in range(3):
        done = [_step(side) for side in (client, server)]
        if all(done):
            return True
    return False


def _step(side: ssl.SSLObject) -> bool:
    try:
        side.do_handshake()
    except ssl.SSLWantReadError:
        return False
    return True
