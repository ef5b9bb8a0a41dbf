"""A TLS connection that behaves like the bare sockets of the splice."""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Iterator
from typing import Any


class TlsSocket(ssl.SSLSocket):
    """Raises BlockingIOError where OpenSSL has to wait, and can be ended in one direction.

    OpenSSL takes from the kernel one record at a time and our buffers hold more than the longest record, so nothing is
    left in between: the loop's readers tell all there is to read.
    """

    _over = False

    def recv(self, buflen: int = 1024, flags: int = 0) -> bytes:
        """Read; nothing at the end."""
        with _told():
            return b"" if self._over else super().recv(buflen, flags)

    def recv_into(self, buffer: Any, nbytes: int | None = None, flags: int = 0) -> int:
        """Read into a buffer; 0 at the end."""
        with _told():
            return 0 if self._over else super().recv_into(buffer, nbytes, flags)

    def send(self, data: Any, flags: int = 0) -> int:
        """Send. Whoever is told to wait has to come again with the same bytes."""
        try:
            return super().send(data, flags)
        except ssl.SSLWantWriteError:
            raise BlockingIOError from None

    def shutdown(self, how: int) -> None:
        """Say that nothing more will be sent; what comes can still be read."""
        with contextlib.suppress(OSError, ValueError):  # the other side may have said so before, or be gone
            self.unwrap()
            self._over = True
        socket.socket.shutdown(self, how)


@contextlib.contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except ssl.SSLWantReadError:
        raise BlockingIOError from None
    except ssl.SSLWantWriteError:
        # It asked for new keys and takes no answer: no agent does that, and waiting for it would cost all our time.
        raise ConnectionResetError("the client asks for new keys but reads nothing") from None
