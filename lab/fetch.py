"""How a virtual machine fetches a URL: as iPXE and Talos do, one connection per request."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

FETCH_TIMEOUT_S: Final = 60.0  # iPXE has patience; the provider may ask a slow image factory first


class FetchError(Exception):
    """No answer came: refused, broken off, or too late."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """An answer."""

    url: str
    status: int
    body: bytes

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode("utf-8", "replace")


async def fetch(url: str, timeout_s: float = FETCH_TIMEOUT_S) -> Fetched:
    """GET a URL.

    Raises:
        FetchError: there was no complete answer within the time.
    """
    parts = urlsplit(url)
    if parts.scheme != "http" or not parts.hostname:
        raise FetchError(f"{url}: only http:// URLs can be fetched here")
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    head = f"GET {target} HTTP/1.1\r\nHost: {parts.netloc}\r\nUser-Agent: lab\r\nConnection: close\r\n\r\n"
    try:
        async with asyncio.timeout(timeout_s):
            answer = await _exchange(parts.hostname, parts.port or 80, head.encode("latin-1", "replace"))
    except TimeoutError as error:
        raise FetchError(f"{url}: no answer in {timeout_s:g} s") from error
    except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
        raise FetchError(f"{url}: {error}") from error
    return _parse(url, *answer)


async def _exchange(host: str, port: int, request: bytes) -> tuple[str, bytes]:
    reader, writer = await asyncio.open_connection(host, port)
    try:
        writer.write(request)
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        length = _content_length(head)
        body = await (reader.read() if length is None else reader.readexactly(length))
    finally:
        writer.close()
    return head, body


def _content_length(head: str) -> int | None:
    for line in head.split("\r\n")[1:]:
        name, _, value = line.partition(":")
        if name.lower() == "content-length" and value.strip().isdigit():
            return int(value)
    return None


def _parse(url: str, head: str, body: bytes) -> Fetched:
    words = head.split(None, 2)
    if len(words) < 2 or not words[0].startswith("HTTP/1.") or not words[1].isdigit():
        raise FetchError(f"{url}: the answer is not HTTP")
    return Fetched(url, int(words[1]), body)
