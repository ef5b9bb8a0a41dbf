"""The small HTTP/1.1 server under the rack's stand-ins.

A rack has one BMC per machine, so a thousand of these may listen side by side: a connection costs one protocol
object and a small buffer. Requests are read by a parser without sockets; answers with a body have a Content-Length.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final, cast
from urllib.parse import parse_qsl, urlsplit

from lab.http_over_tls import Greeting

MAX_HEAD_BYTES: Final = 16 * 1024  # no client of the rack sends longer headers
MAX_BODY_BYTES: Final = 1024 * 1024  # a schematic, the largest body, is a few KB
ACCEPT_TURNS: Final = 4  # of the loop, from the kernel's queue to a connection that can be closed


class RequestError(Exception):
    """What came is no HTTP request that this server reads; the connection is closed."""


class NoAnswer(Exception):
    """Raised by a handler: the connection is cut instead of answered."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request; header names are in lower case. peer: HOST:PORT of the other end of the connection."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    keep_alive: bool = True
    peer: str = ""


@dataclass(frozen=True, slots=True)
class Response:
    """One answer."""

    status: int = 200
    body: bytes = b""
    content_type: str = "text/plain; charset=utf-8"
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def text(cls, text: str, status: int = 200) -> Response:
        """An answer of plain text."""
        return cls(status, text.encode())

    def render(self, *, keep_alive: bool, with_body: bool = True) -> bytes:
        """The bytes on the wire; HEAD is answered without the body but with its length, 204 with neither."""
        lines = [f"HTTP/1.1 {self.status} {HTTPStatus(self.status).phrase}"]
        if self.status != HTTPStatus.NO_CONTENT:
            lines += [f"Content-Type: {self.content_type}", f"Content-Length: {len(self.body)}"]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        lines.append(f"Connection: {'keep-alive' if keep_alive else 'close'}\r\n\r\n")
        return "\r\n".join(lines).encode() + (self.body if with_body else b"")


Handler = Callable[[Request], Awaitable[Response]]
"""Answers a request; cancelled when the connection is lost meanwhile. May raise NoAnswer."""


class RequestReader:
    """Cuts a stream of bytes into requests. peer: whose."""

    def __init__(self, peer: str = "") -> None:
        self.peer = peer
        self._buffer = b""

    def feed(self, data: bytes) -> list[Request]:
        """Take bytes in; return the requests that are complete.

        Raises:
            RequestError: the bytes are no request.
        """
        self._buffer += data
        requests = []
        while (request := self._take()) is not None:
            requests.append(request)
        return requests

    def _take(self) -> Request | None:
        head, separator, rest = self._buffer.partition(b"\r\n\r\n")
        if not separator:
            if len(self._buffer) > MAX_HEAD_BYTES:
                raise RequestError("the header is too long")
            return None
        method, target, version, headers = _parse_head(head)
        length = _body_length(headers)
        if len(rest) < length:
            return None
        self._buffer = rest[length:]
        url = urlsplit(target)
        return Request(
            method,
            url.path,
            dict(parse_qsl(url.query, keep_blank_values=True)),
            headers,
            rest[:length],
            keep_alive=version == "HTTP/1.1" and headers.get("connection", "").lower() != "close",
            peer=self.peer,
        )


def _parse_head(head: bytes) -> tuple[str, str, str, dict[str, str]]:
    first, *lines = head.decode("latin-1").split("\r\n")
    words = first.split(" ")
    if len(words) != 3 or not words[2].startswith("HTTP/1."):
        raise RequestError("the first line is not METHOD TARGET HTTP/1.x")
    headers = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon:
            raise RequestError("a header line has no colon")
        headers[name.strip().lower()] = value.strip()
    return words[0], words[1], words[2], headers


def _body_length(headers: Mapping[str, str]) -> int:
    if "transfer-encoding" in headers:
        raise RequestError("chunked bodies are not read here")
    text = headers.get("content-length", "0")
    if not text.isdigit() or int(text) > MAX_BODY_BYTES:
        raise RequestError("the Content-Length is not a number in bounds")
    return int(text)


class _Connection(asyncio.Protocol):
    """One client: requests are answered one after the other, in order."""

    def __init__(self, server: HttpServer) -> None:
        self._server = server
        self._reader = RequestReader()
        self._transport: asyncio.Transport | None = None
        self._waiting: list[Request] = []
        self._answering: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called twice where there is TLS: before the handshake, so that `abort` ends that as well, and after it."""
        self._transport = cast(asyncio.Transport, transport)
        self._reader.peer = "{}:{}".format(*(transport.get_extra_info("peername") or ("", "")))
        self._server.connections.add(self)

    def data_received(self, data: bytes) -> None:
        try:
            self._waiting += self._reader.feed(data)
        except RequestError as error:  # soon: data may come with the end of a handshake, right before its transport
            asyncio.get_running_loop().call_soon(self._refuse, str(error))
            return
        if self._waiting and self._answering is None:
            self._answering = asyncio.get_running_loop().create_task(self._answer())

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's interface
        self._server.connections.discard(self)
        self._transport = None
        if self._answering is not None:
            self._answering.cancel()
        self._server.gone(self._reader.peer)

    def close(self) -> None:
        """Close the connection once what is written has been taken."""
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Close the connection, whatever it is doing."""
        if self._transport is not None:
            self._transport.abort()

    def _refuse(self, words: str) -> None:
        self._write(Response.text(f"{words}\n", 400).render(keep_alive=False))
        self.close()

    async def _answer(self) -> None:
        while self._waiting:
            request = self._waiting.pop(0)
            try:
                response = await self._server.handler(request)
            except NoAnswer:
                self.abort()
                return
            except Exception as error:  # noqa: BLE001 - the outer edge: the client must not be left waiting
                response = Response.text(f"{type(error).__name__}: {error}\n", 500)
            self._write(response.render(keep_alive=request.keep_alive, with_body=request.method != "HEAD"))
            if not request.keep_alive:
                self.close()
        self._answering = None

    def _write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)


class HttpServer:
    """A handler listening on a port.

    Args:
        handler: answers requests.
        gone: is told the peer of a connection that has ended; it may be told twice.
    """

    def __init__(self, handler: Handler, gone: Callable[[str], None] = lambda _: None) -> None:
        self.handler = handler
        self.gone = gone
        self.connections: set[_Connection] = set()
        self._server: asyncio.Server | None = None

    async def serve(self, host: str = "127.0.0.1", port: int = 0, tls: ssl.SSLContext | None = None) -> int:
        """Listen, over TLS where there is a context for it; returns the port (port 0 takes a free one)."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: self._connection(tls), host, port)
        bound: int = self._server.sockets[0].getsockname()[1]
        return bound

    def _connection(self, tls: ssl.SSLContext | None) -> asyncio.Protocol:
        return _Connection(self) if tls is None else Greeting(_Connection(self), tls)

    async def stop(self) -> None:
        """Stop listening and close every connection."""
        if self._server is None:
            return
        server, self._server = self._server, None
        for listener in server.sockets:  # asyncio forgets a client that was taken when its server closes, left open
            asyncio.get_running_loop().remove_reader(listener.fileno())
        for _ in range(ACCEPT_TURNS):
            await asyncio.sleep(0)
        server.close()
        while self.connections:
            for connection in tuple(self.connections):
                connection.abort()
            await asyncio.sleep(0)
        await server.wait_closed()
