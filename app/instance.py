"""The state directory of a running `omni-metal run`: made, writable, and used by one program at a time."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from app.errors import StartError


@contextlib.contextmanager
def hold_state_dir(state_dir: Path) -> Iterator[None]:
    """Keep the state directory for ourselves until the end of the block, or of this process.

    Raises:
        StartError: it cannot be written to, or another program holds it.
    """
    try:
        state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(state_dir / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StartError(
            f"the state directory {state_dir} cannot be written to ({error.strerror}); "
            "make it writable, or name another with --state-dir"
        ) from None
    try:
        _lock(descriptor, state_dir)
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int, state_dir: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        holder = os.pread(descriptor, 20, 0).decode(errors="replace").strip()
        process = f" (process {holder})" if holder.isdecimal() else ""
        raise StartError(
            f"another omni-metal run{process} uses the state directory {state_dir}; "
            "stop that one, or give this one its own with --state-dir"
        ) from None
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
