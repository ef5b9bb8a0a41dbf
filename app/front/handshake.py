"""Where agents come in over TLS: handshakes, after which a connection is spliced like one without TLS.

TLS ends here and not in the gateway, for four reasons: gRPC for Python cannot be told to refuse TLS 1.2; a tunnel keeps
the session that it began with, so a new certificate concerns new connections alone; the client's address is passed on
as it is for the other port; and a gateway needs no key and no public port.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections import Counter
from typing import Final

import structlog

from app.front.certificates import Certificates
from app.front.splice import COMPLAIN_EVERY_S, Splicer

log = structlog.get_logger()

# A handshake takes two round trips; ten seconds leave room for a lossy link and a rack that comes at once.
HANDSHAKE_LIMIT_S: Final = 10.0
# What OpenSSL calls it when the other side does not want our certificate.
_DISTRUST: Final = ("ALERT_UNKNOWN_CA", "ALERT_BAD_CERTIFICATE", "ALERT_CERTIFICATE")
_DISTRUST_HINT: Final = (
    "the agent does not trust our certificate: it was booted before the CA became what it is, or its clock is wrong; "
    "its next boot tells it the CA"
)


class TlsDoor:
    """All handshakes of one listening process. Belongs to the loop in which it is made."""

    def __init__(self, splicer: Splicer, certificates: Certificates) -> None:
        self.loop = asyncio.get_running_loop()
        self.splicer = splicer
        self.handshakes: set[Handshake] = set()
        self._certificates = certificates
        self._failed: Counter[str] = Counter()
        self._silent_until_s = 0.0

    def take(self, client: socket.socket, address: str) -> None:
        """Shake hands with a new client."""
        context = self._certificates.context
        if context is None:
            client.close()
            self.note_failure("there is no certificate yet", address)
            return
        client.setblocking(False)  # noqa: FBT003 - the socket's own way
        try:
            wrapped = context.wrap_socket(client, server_side=True, do_handshake_on_connect=False)
        except OSError:  # gone again
            client.close()
            return
        Handshake(self, wrapped, address).begin()

    def note_failure(self, reason: str, address: str) -> None:
        """Note a client with which it came to nothing: one line in a while, however many there are."""
        self._failed[reason] += 1
        if self.loop.time() >= self._silent_until_s:
            self._silent_until_s = self.loop.time() + COMPLAIN_EVERY_S
            log.warning("tls_handshake_failed", address=address, failed=dict(self._failed))
            self._failed.clear()

    def close(self) -> None:
        """Close all that have not come to their end."""
        for handshake in list(self.handshakes):
            handshake.close()


class Handshake:
    """One client before its connection is spliced."""

    __slots__ = ("_address", "_client", "_door", "_greeted", "_timer")

    def __init__(self, door: TlsDoor, client: ssl.SSLSocket, address: str) -> None:
        self._door = door
        self._client = client
        self._address = address
        self._greeted = False

    def begin(self) -> None:
        """Go on for as long as it takes, within the limit."""
        self._door.handshakes.add(self)
        self._timer = self._door.loop.call_later(HANDSHAKE_LIMIT_S, self._fail, "it took too long")
        self._door.loop.add_reader(self._client.fileno(), self._read)
        self._step()

    def close(self) -> None:
        """Close the connection."""
        self._let_go()
        self._client.close()

    def _read(self) -> None:
        """Something came, if only the end."""
        self._step()
        self._greeted = True

    def _step(self) -> None:
        try:
            self._client.do_handshake()
        except ssl.SSLWantReadError:
            self._door.loop.remove_writer(self._client.fileno())
        except ssl.SSLWantWriteError:
            self._door.loop.add_writer(self._client.fileno(), self._step)
        except (ssl.SSLEOFError, ConnectionError):
            self._gone()
        except ssl.SSLError as error:
            self._fail(_in_words(error))
        except OSError as error:
            self._fail(error.strerror or str(error))
        else:
            self._let_go()
            self._door.splicer.take_from_tls(self._client, self._address)

    def _gone(self) -> None:
        if self._greeted:
            self._fail("the client ended it; it may not trust our certificate")
        else:  # it only looked whether somebody listens
            self.close()

    def _fail(self, reason: str) -> None:
        self.close()
        self._door.note_failure(reason, self._address)

    def _let_go(self) -> None:
        self._door.handshakes.discard(self)
        self._timer.cancel()
        self._door.loop.remove_reader(self._client.fileno())
        self._door.loop.remove_writer(self._client.fileno())


def _in_words(error: ssl.SSLError) -> str:
    reason = error.reason or ""
    if any(name in reason for name in _DISTRUST):
        return _DISTRUST_HINT
    return reason.replace("_", " ").lower() or "it is not TLS"
