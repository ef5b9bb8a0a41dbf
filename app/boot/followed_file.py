"""A file that may be replaced while we serve what was in it: read anew when it has changed, kept where it went bad."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, Generic, NamedTuple, TypeVar

import structlog

log = structlog.get_logger()

# Whoever writes into the file instead of replacing it has finished by then; half of it may well be good YAML.
SETTLES_S: Final = 2.0

_Content = TypeVar("_Content")


class Stamp(NamedTuple):
    """By which a file is known to be the same. written_ns: by the clock of its file system."""

    written_ns: int
    node: int
    size_bytes: int


class FollowedFile(Generic[_Content]):
    """What a file holds. Safe to use from many threads."""

    def __init__(
        self,
        option: str,
        path: Path,
        read: Callable[[Path], _Content],
        bad: type[Exception],
        *,
        settles_s: float | None = None,
    ) -> None:
        """Nothing is read yet.

        Args:
            option: the option that names the file, for the log.
            path: the file.
            read: makes something of it, or raises OSError or `bad`, whose words are logged and must hold no secret.
            bad: what `read` raises where the file is no good.
            settles_s: how long ago it must have been written, once something of it is known.
        """
        self._option, self._path, self._make, self._bad = option, path, read, bad
        self._settles_s = SETTLES_S if settles_s is None else settles_s
        self._guard = threading.Lock()
        self._stamp: Stamp | None = None
        self._content: _Content | None = None
        self._complaint = ""

    def content(self) -> _Content | None:
        """What it holds now; what it held before where that is bad; None where it was never good."""
        with self._guard:
            try:
                self._look()
            except (OSError, self._bad) as error:
                self._complain(str(error))
            return self._content

    def _look(self) -> None:
        stamp = self._read_stamp()
        if stamp == self._stamp or not self._settled(stamp):
            return
        self._stamp = stamp  # also where it is bad: it is looked at again when it has changed
        content = self._make(self._path)
        if self._read_stamp() != stamp:
            return  # it was written meanwhile
        if self._content is not None or self._complaint:
            log.info("file_read_again", option=self._option, path=str(self._path))
        self._content, self._complaint = content, ""

    def _settled(self, stamp: Stamp) -> bool:
        age_s = time.time() - stamp.written_ns / 1e9
        return self._content is None or not 0 <= age_s < self._settles_s

    def _read_stamp(self) -> Stamp:
        found = self._path.stat()
        return Stamp(found.st_mtime_ns, found.st_ino, found.st_size)

    def _complain(self, words: str) -> None:
        if words != self._complaint:
            effect = "machine configurations are held back" if self._content is None else "what it held before is used"
            log.warning("file_bad", option=self._option, path=str(self._path), effect=effect, reason=words)
        self._complaint = words
