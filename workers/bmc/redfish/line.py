"""The one connection with a BMC, as an adapter of requests: nothing is ever sent twice on it.

requests and urllib3 leave open whether a request that failed was sent, count their limits anew from each byte, and
read as much as a peer likes to send. A line knows what was sent, ends each exchange in time, and reads a bounded
answer. Whatever host a URL names, it goes to this BMC: a BMC cannot send our login elsewhere.
"""

from __future__ import annotations

import contextlib
import functools
import http.client
import math
import socket
import ssl
import time
from collections.abc import Iterator
from typing import Any, Final, cast

import requests
from requests.adapters import BaseAdapter
from requests.structures import CaseInsensitiveDict
from urllib3.util.wait import wait_for_read

from workers.bmc.client import StillOurs, used_alone
from workers.bmc.exchange import BoundedLine, NotConnected, open_line
from workers.bmc.redfish.tls import secured

# A BMC in the same network answers a connection within milliseconds, or, while it starts, not at all.
CONNECT_S = 3.0
# TLS with a key of 2048 bits takes the slowest BMCs two seconds.
HANDSHAKE_S = 5.0
# iDRAC and iLO take up to ten seconds for a reset, and for a System while they collect what it is made of.
ANSWER_S = 20.0
# The longest Systems that were seen have 60 KiB.
MOST_BYTES: Final = 1_048_576
# BMCs close kept connections after seconds without a word. A command must not be lost on one that goes stale.
IDLE_S = 1.0
# Questions come right before a command. Meanwhile a host may stand still, and others get the machine 20 s later at the
# earliest, as leases are renewed each 10 s and live for 30 s.
COMMAND_WITHIN_S = 20.0


class CertificateNotTrusted(NotConnected):
    """The BMC's certificate is not one that the system trusts; the text says why."""


class AnswerLost(Exception):
    """The request was sent, or a part of it, and no (whole) answer came; the text is the reason's name."""


class AnswerUnfit(Exception):
    """What came back is no answer of Redfish; the text says what it is."""


class Redirected(Exception):
    """The BMC names another place for what was asked, and has not done it; the text is the place."""


class Line(BaseAdapter):
    """A connection with one BMC, opened when it is needed and kept from one request to the next.

    within_s: how long all that goes over it may take; None sets a limit for each request alone.
    still_ours: is called right before what may change something is sent.
    """

    def __init__(
        self,
        host: str,
        port: int,
        tls: ssl.SSLContext | None,
        within_s: float | None = None,
        still_ours: StillOurs = used_alone,
    ) -> None:
        super().__init__()
        self._host, self._port, self._tls, self._still_ours = host, port, tls, still_ours
        self._end_s = math.inf if within_s is None else time.monotonic() + within_s
        self._socket: socket.socket | None = None
        self._idle_since_s = self._asked_s = 0.0

    def send(self, request: requests.PreparedRequest, *_: Any, **__: Any) -> requests.Response:
        """Send it once, and read the answer; the other arguments of requests are of no use, as limits are our own.

        Raises:
            NotConnected: nothing was sent.
            AnswerLost: it was sent, or a part of it.
            AnswerUnfit, Redirected: what was answered is of no use.
            BmcInUse: the BMC is not ours any more; nothing was sent.
        """
        line = self._open()
        if request.method != "GET":
            self._still_ours()
            line = self._open()  # Redis may have taken its time over it
        follows = bool(self._asked_s) and request.method != "GET"
        if follows and time.monotonic() - self._asked_s > COMMAND_WITHIN_S:
            raise NotConnected("this program stood still since it asked the BMC")
        self._asked_s = time.monotonic()
        end_s = self._end_of(ANSWER_S)
        line.settimeout(ANSWER_S)
        connection = _Connection(self._host, self._port)
        connection.sock = line
        connection.response_class = functools.partial(_answer_on, end_s=end_s)  # type: ignore[assignment]
        keep = False
        try:
            content = cast(bytes | None, request.body)  # made of JSON
            connection.request(request.method or "GET", request.path_url, content, dict(request.headers))
            answer = connection.getresponse()
            body, whole = _body_of(answer, must=request.method == "GET")
            keep = whole and not answer.will_close
        except (OSError, http.client.IncompleteRead) as error:
            raise AnswerLost(type(error).__name__) from None
        except (http.client.HTTPException, ValueError) as error:
            raise AnswerUnfit(f"something else than HTTP ({type(error).__name__})") from None
        finally:
            if not keep:
                self.close()
        self._idle_since_s = time.monotonic()
        return _as_response(request, answer, body)

    @contextlib.contextmanager
    def within(self, limit_s: float) -> Iterator[None]:
        """Limit the time of all that goes over it inside."""
        before_s, self._end_s = self._end_s, self._end_of(limit_s)
        try:
            yield
        finally:
            self._end_s = before_s

    @property
    def out_of_time(self) -> bool:
        """Whether its time is over."""
        return time.monotonic() >= self._end_s

    def close(self) -> None:
        """Close the connection; the next request opens another."""
        line, self._socket = self._socket, None
        if line is not None:
            line.close()

    def _open(self) -> socket.socket:
        if self._socket is not None and self._is_stale(self._socket):
            self.close()
        if self._socket is None:
            self._socket, self._idle_since_s = self._connect(), time.monotonic()
        return self._socket

    def _is_stale(self, line: socket.socket) -> bool:
        """Whether it may be closed at the other end: nobody speaks unasked, but to say good-bye."""
        return time.monotonic() - self._idle_since_s > IDLE_S or wait_for_read(line, 0)

    def _connect(self) -> socket.socket:
        try:
            line = open_line((self._host, self._port), CONNECT_S, self._end_s)
            # Head and body of a command are two packets: with Nagle's rule a slow BMC costs 40 ms more for each.
            line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._tls is None:
                return line
            return secured(line, self._tls, self._host, self._end_of(HANDSHAKE_S))
        except ssl.SSLCertVerificationError as error:
            raise CertificateNotTrusted(error.verify_message or "it does not fit") from None
        except (OSError, ValueError) as error:  # a name that is none is a ValueError
            raise NotConnected(type(error).__name__) from None

    def _end_of(self, limit_s: float) -> float:
        return min(time.monotonic() + limit_s, self._end_s)


class _Connection(http.client.HTTPConnection):
    """Writes requests on a connection that is not its own."""

    auto_open = 0

    def close(self) -> None:
        """Leave the connection to its line: http.client would close it before the answer is read."""


def _answer_on(line: socket.socket, *, method: str | None, end_s: float) -> http.client.HTTPResponse:
    limited = cast(socket.socket, BoundedLine(line, end_s))  # makefile is all that HTTPResponse uses
    return http.client.HTTPResponse(limited, method=method)


def _body_of(answer: http.client.HTTPResponse, *, must: bool) -> tuple[bytes, bool]:
    """The body, and whether it is there as a whole.

    A command is done when its status says so: there the body need not be had. Raises OSError, HTTPException.
    """
    try:
        body = answer.read(MOST_BYTES + 1)
    except (OSError, http.client.HTTPException):
        if must:
            raise
        return b"", False
    if len(body) > MOST_BYTES:
        if must:
            raise AnswerUnfit(f"more than {MOST_BYTES // 1024} KiB")
        return b"", False
    whole = not answer.length
    if must and not whole:
        raise ConnectionResetError
    return body, whole


def _as_response(
    request: requests.PreparedRequest, answer: http.client.HTTPResponse, body: bytes
) -> requests.Response:
    place = answer.headers.get("Location", "")
    if 300 <= answer.status < 400:
        raise Redirected(place)
    response = requests.Response()
    response.status_code = answer.status
    response.reason = answer.reason
    response.headers = CaseInsensitiveDict(answer.headers.items())
    response.url = request.url or ""
    response.request = request
    response._content = body  # noqa: SLF001  # requests has no other way to make a Response
    response._content_consumed = True  # noqa: SLF001
    return response
