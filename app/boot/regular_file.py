"""Open a file of an operator's folder: only a regular one that is not empty, and without waiting for anybody."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import BinaryIO


class FileUnfit(Exception):
    """A file cannot be used; the words say why, without its name."""


def open_regular(path: Path, *, follow: bool = True) -> BinaryIO:
    """The file. follow: whether it may be a link to one.

    Raises:
        FileNotFoundError: it is not there.
        FileUnfit: it is something else, or cannot be read.
    """
    # Without O_NONBLOCK a pipe of that name would hold us until somebody writes to it.
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | (0 if follow else os.O_NOFOLLOW)
    try:
        descriptor = os.open(path, flags)
    except (FileNotFoundError, NotADirectoryError):
        raise FileNotFoundError(path) from None
    except OSError as error:
        raise FileUnfit(f"cannot be read ({error.strerror})") from None
    found = os.fstat(descriptor)
    if stat.S_ISREG(found.st_mode) and found.st_size:
        return os.fdopen(descriptor, "rb")
    os.close(descriptor)
    raise FileUnfit("is empty" if stat.S_ISREG(found.st_mode) else "is not a regular file")


def read_regular(path: Path, largest_bytes: int) -> bytes:
    """The bytes of the file, which may have so many. Raises like `open_regular`."""
    with open_regular(path) as file:
        return read_all(file, largest_bytes)


def read_all(file: BinaryIO, largest_bytes: int) -> bytes:
    """The bytes of an open file, which may have so many. Raises FileUnfit."""
    try:
        content = file.read(largest_bytes + 1)
    except OSError as error:
        raise FileUnfit(f"cannot be read ({error.strerror})") from None
    if len(content) > largest_bytes:
        raise FileUnfit(f"has more than {largest_bytes:,} bytes")
    return content
