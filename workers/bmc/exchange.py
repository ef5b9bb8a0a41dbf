"""One HTTP exchange on a connection of its own, bounded as a whole: a peer that drips cannot hold it for longer.

Timeouts of sockets and of HTTP libraries count anew from each byte that comes in.
"""

from __future__ import annotations

import contextlib
import http.client
import io
import ipaddress
import math
import socket
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, cast

from urllib3.exceptions import LocationValueError
from urllib3.util import parse_url

from workers.bmc.lookup import LOOKUP_S, Found, look_up

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

# Such a BMC answers in milliseconds; five seconds are the limit that operators know from the Go provider.
TIMEOUT_S = 5.0
# A power state takes twenty bytes.
MOST_BYTES = 65_536
HTTP_PORT = 80


class AddressUnusable(Exception):
    """The address is not host:port."""


class NotConnected(Exception):
    """No connection came about, so nothing was sent; the text is the reason's name."""


@contextlib.contextmanager
def exchange(address: str, method: str, path: str) -> Iterator[http.client.HTTPResponse]:
    """Send an empty request; the answer's body is read inside, where each read may raise as well.

    Raises:
        AddressUnusable, NotConnected: nothing was sent.
        OSError, http.client.HTTPException: no (whole) answer came in time, or one that is not HTTP.
    """
    end_s = time.monotonic() + TIMEOUT_S
    line = _connect(address, end_s)
    try:
        head = f"{method} {path} HTTP/1.1\r\nHost: {address}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        line.sendall(head.encode("ascii"))
        limited = cast(socket.socket, BoundedLine(line, end_s))  # makefile is all that HTTPResponse uses
        with contextlib.closing(http.client.HTTPResponse(limited, method=method)) as answer:
            answer.begin()
            yield answer
    finally:
        line.close()


def host_and_port(address: str) -> tuple[str, int]:
    """The two parts of host:port. Raises AddressUnusable."""
    try:
        url = parse_url(f"http://{address}")
    except LocationValueError:
        raise AddressUnusable(address) from None
    if not url.host or url.auth or url.path or url.query or url.fragment or not address.isascii():
        raise AddressUnusable(address)
    return url.host.strip("[]"), HTTP_PORT if url.port is None else url.port


def _connect(address: str, end_s: float) -> socket.socket:
    place = host_and_port(address)
    try:
        line = open_line(place, TIMEOUT_S, end_s)
    except UnicodeError:  # a label of the name is empty or too long
        raise AddressUnusable(address) from None
    except OSError as error:
        raise NotConnected(type(error).__name__) from None
    left_s = end_s - time.monotonic()  # a name with several addresses may have taken all of it
    if left_s <= 0:
        line.close()
        raise NotConnected(TimeoutError.__name__)
    line.settimeout(left_s)
    return line


def open_line(place: tuple[str, int], timeout_s: float, end_s: float = math.inf) -> socket.socket:
    """A connection, for which the addresses of a name have timeout_s together. Raises OSError, UnicodeError.

    end_s: when it must be there, by the monotonic clock, with the look-up of a name.
    """
    addresses, trouble = _addresses(place, end_s), OSError("no address")
    for family, address in addresses:
        try:
            return _dial(family, address, min(timeout_s / len(addresses), _left_s(end_s)))
        except OSError as error:
            trouble = error
    raise trouble


def _addresses(place: tuple[str, int], end_s: float) -> list[Found]:
    """An address is not looked up as a name: under greenlets that takes a thread and a millisecond."""
    try:
        version = ipaddress.ip_address(place[0]).version
    except ValueError:
        return look_up(*place, socket.SOCK_STREAM, min(LOOKUP_S, _left_s(end_s)))
    return [(socket.AF_INET6 if version == 6 else socket.AF_INET, place)]


def _dial(family: int, address: tuple[Any, ...], timeout_s: float) -> socket.socket:
    line = socket.socket(family)
    try:
        line.settimeout(timeout_s)
        line.connect(address)
    except BaseException:
        line.close()
        raise
    return line


def _left_s(end_s: float) -> float:
    """How long there is until then. Raises TimeoutError."""
    left_s = end_s - time.monotonic()
    if left_s <= 0:
        raise TimeoutError
    return left_s


class BoundedLine:
    """A connection as HTTPResponse wants it, to be read until a moment that no byte puts off."""

    def __init__(self, line: socket.socket, end_s: float) -> None:
        self._line, self._end_s = line, end_s

    def makefile(self, mode: str) -> io.BufferedReader:
        """What an answer is read from."""
        del mode
        return io.BufferedReader(_Reader(self._line, self._end_s))


class _Reader(io.RawIOBase):
    """Reads from a connection until a moment that no byte puts off."""

    def __init__(self, line: socket.socket, end_s: float) -> None:
        self._line, self._end_s = line, end_s

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        left_s = self._end_s - time.monotonic()
        if left_s <= 0:
            raise TimeoutError
        self._line.settimeout(left_s)
        return self._line.recv_into(buffer)
