"""How a message travels through a tunnel: in chunks, within a window of bytes, put together again at the other end.

Both sides of a tunnel use these. Revision 1 counts the bytes of data on the way and waits at zero; revision 0 knows
no windows.
"""

from __future__ import annotations

import asyncio
import enum
from collections.abc import AsyncIterator, Iterable
from typing import Final

NEGOTIATE_KEY: Final = "grpctunnel-negotiate"
NEGOTIATE_VALUE: Final = "on"
MACHINE_ID_KEY: Final = "machine-id"
# The stream id of the settings frame, which belongs to no call.
SETTINGS_STREAM: Final = -1
# The protocol's own numbers: larger chunks, or more bytes than the window, are errors.
CHUNK_BYTES: Final = 16_384
WINDOW_BYTES: Final = 65_536
# gRPC's usual limit; an agent's answers have some hundred bytes.
LARGEST_MESSAGE_BYTES: Final = 4 * 1024 * 1024


class Revision(enum.IntEnum):
    """What the two sides have agreed on."""

    ZERO = 0
    ONE = 1


class FrameError(Exception):
    """The other side has broken the protocol."""


def agreed(offered: Iterable[int]) -> Revision:
    """The highest revision that both sides know. Raises FrameError where there is none."""
    common = [Revision(number) for number in offered if number in list(Revision)]
    if not common:
        raise FrameError("no protocol revision in common")
    return max(common)


class SendWindow:
    """How many bytes of a message may be sent; `size` None: no limit."""

    def __init__(self, size: int | None) -> None:
        self._left = size
        self._grown = asyncio.Event()

    def add(self, count: int) -> None:
        """The other side has taken bytes out."""
        if self._left is not None:
            self._left += count
            self._grown.set()

    async def take(self, wanted: int) -> int:
        """Wait until something may be sent, and say how much of `wanted` that is. An empty message waits as well."""
        if self._left is None:
            return min(wanted, CHUNK_BYTES)
        while self._left <= 0:
            self._grown.clear()
            await self._grown.wait()
        count = min(wanted, CHUNK_BYTES, self._left)
        self._left -= count
        return count


async def chunks(message: bytes, window: SendWindow) -> AsyncIterator[bytes]:
    """The message in pieces that may be sent at once; an empty message is one empty piece."""
    sent = 0
    while True:
        count = await window.take(len(message) - sent)
        yield message[sent : sent + count]
        sent += count
        if sent == len(message):
            return


class Incoming:
    """A message that arrives. Its chunks are taken out at once, so the window is full again after each."""

    def __init__(self, revision: Revision) -> None:
        self._limit = WINDOW_BYTES if revision is Revision.ONE else LARGEST_MESSAGE_BYTES
        self._size: int | None = None
        self._parts: list[bytes] = []
        self._received = 0

    @property
    def complete(self) -> bool:
        """Whether the whole message is here."""
        return self._size == self._received

    @property
    def message(self) -> bytes:
        """What is here of the message."""
        return b"".join(self._parts)

    def begin(self, size: int, data: bytes) -> None:
        """The first chunk, with the size of the whole."""
        if self._size is not None:
            raise FrameError("a second message where only one is allowed")
        if size > LARGEST_MESSAGE_BYTES:
            raise FrameError(f"a message of {size} bytes; at most {LARGEST_MESSAGE_BYTES} are taken")
        self._size = size
        self._add(data)

    def more(self, data: bytes) -> None:
        """A further chunk."""
        if self._size is None or self.complete:
            raise FrameError("data outside of a message")
        self._add(data)

    def _add(self, data: bytes) -> None:
        if len(data) > self._limit:
            raise FrameError("flow control window exceeded")
        self._received += len(data)
        if self._size is None or self._received > self._size:
            raise FrameError("more data than the message has")
        self._parts.append(data)
