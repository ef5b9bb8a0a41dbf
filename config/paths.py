"""Where things are kept: the state directory, and in or beside it the folder of the unix sockets."""

from __future__ import annotations

import hashlib
import os
import stat
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

# A unix socket's path must fit into 104 bytes on macOS and 108 on Linux, with its name and a closing zero.
LONGEST_RUN_DIR: Final = 80


def default_state_dir(environ: Mapping[str, str]) -> Path:
    """Return the user's state directory for this program."""
    base = environ.get("XDG_STATE_HOME", "")
    if base.startswith("/"):
        return Path(base) / "omni-metal"
    return Path(environ.get("HOME") or Path.home()) / ".local" / "state" / "omni-metal"


def run_dir_path(state_dir: Path) -> Path:
    """Return where the unix sockets of a state directory are; nothing is made."""
    state_dir = state_dir.absolute()
    folder = state_dir / "run"
    if len(os.fsencode(folder)) > LONGEST_RUN_DIR:
        digest = hashlib.sha256(os.fsencode(state_dir)).hexdigest()[:12]
        return Path(tempfile.gettempdir()) / f"omni-metal-{os.getuid()}-{digest}"
    return folder


def run_dir(state_dir: Path) -> Path:
    """Return the folder of the unix sockets of a state directory, made for our eyes only.

    Raises:
        PermissionError: the folder is somebody else's, or cannot be made.
    """
    folder = run_dir_path(state_dir)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise PermissionError(f"{folder} belongs to somebody else")
    if stat.S_IMODE(found.st_mode) != stat.S_IRWXU:
        folder.chmod(stat.S_IRWXU)
    return folder
