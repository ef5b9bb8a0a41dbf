"""How many files one web process sends at once, and how slowly one may be taken.

Each holds a thread until all of it is handed on. So at most half of the threads send files, and of these three in four
to one address: it may be the NAT of a whole rack, and yet others are served. This host itself may be a proxy for all
machines, and has no limit of its own. Who is one too many is told to come again,
which iPXE does by itself. A file that is taken too slowly is given up, so that nobody keeps a place by taking a little
now and then.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import BinaryIO, Final

from werkzeug.exceptions import ServiceUnavailable
from werkzeug.wsgi import FileWrapper

from app.web.rate_limit import bucket_of, is_this_host
from app.web.sparing import SparingLog

# An image takes seconds; by then some place is free.
RETRY_AFTER_S: Final = 5
# All places of two web processes on one link of 100 Mbit/s get 46 KiB/s each.
LEAST_BYTES_PER_S: Final = 32 * 1024
# Over so long: a link that is down for half a minute, as while a switch starts again, ends no download.
RATE_OVER_S: Final = 60.0
# Few calls for an image, and little memory for each of a rack that boots.
PIECE_BYTES: Final = 256 * 1024


class Downloads:
    """The places of one process. Safe to use from many threads."""

    def __init__(self, most: int) -> None:
        """Make free places. most: how many there are."""
        self._most, self._most_of_one = most, max(1, most * 3 // 4)
        self._lock = threading.Lock()
        self._held: Counter[str] = Counter()
        self._log = SparingLog()

    def begin(self, address: str | None) -> Place:
        """Take a place for a client. Raises ServiceUnavailable, with a time to wait, where there is none."""
        key = bucket_of(address)
        most = self._most if is_this_host(address) else self._most_of_one
        with self._lock:
            if self._held.total() < self._most and self._held[key] < most:
                self._held[key] += 1
                return Place(lambda: self._end(key))
        self._log.warning("downloads_refused", address=address, at_once=self._most)
        raise ServiceUnavailable("too many files are being sent: try again", retry_after=RETRY_AFTER_S)

    def _end(self, key: str) -> None:
        with self._lock:
            self._held[key] -= 1
            if not self._held[key]:
                del self._held[key]


class Place:
    """One download. It ends once, however often that is said."""

    def __init__(self, end: Callable[[], None] | None = None) -> None:
        self._end = end

    def end(self) -> None:
        """Leave the place to others."""
        end, self._end = self._end, None
        if end is not None:
            end()


class Pieces(FileWrapper):
    """A file piece by piece, from where it stands; each is asked for when the one before is handed on."""

    def __init__(self, file: BinaryIO, place: Place, clock_s: Callable[[], float] = time.monotonic) -> None:
        """Own the file and the place from here on."""
        super().__init__(file, PIECE_BYTES)
        self._place, self._clock_s = place, clock_s
        self._since_s, self._taken = clock_s(), 0

    def __next__(self) -> bytes:
        """Read on. Raises TimeoutError where the client takes it too slowly."""
        took_s = self._clock_s() - self._since_s
        if took_s >= RATE_OVER_S:
            if self._taken < LEAST_BYTES_PER_S * took_s:
                raise TimeoutError(f"less than {LEAST_BYTES_PER_S:,} bytes a second were taken")
            self._since_s, self._taken = self._since_s + took_s, 0
        piece = super().__next__()
        self._taken += len(piece)
        return piece

    def close(self) -> None:
        """Close the file, and leave the place."""
        super().close()
        self._place.end()
