"""Read the iPXE binaries of a folder: that of `--ipxe-path`, else of the state directory, else of the image."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from app.boot.ipxe.binaries import FILE_NAMES, STAND_INS, Binary
from app.boot.regular_file import FileUnfit, read_regular
from app.errors import StartError
from config.settings import Settings

IMAGE_FOLDER: Final = Path("/usr/share/omni-metal/ipxe")
"""Where the Dockerfile puts them."""

# iPXE with all its drivers has 1 MB. All are held in memory, and TFTP counts 65,535 blocks of 512 bytes.
LARGEST_BYTES: Final = 16 * 1024 * 1024
_REMEDY: Final = "run `omni-metal ipxe` to get them, or name a folder that holds them with --ipxe-path"
_REMEDY_OWN: Final = "put them there, or run `omni-metal ipxe` and leave --ipxe-path out"


def own_folder(settings: Settings) -> Path:
    """Where `omni-metal ipxe` puts the binaries."""
    return settings.state_dir / "ipxe"


def folder_of(settings: Settings) -> Path:
    """The folder whose binaries are served; it may be missing."""
    if settings.ipxe_path:
        return settings.ipxe_path
    own = own_folder(settings)
    # The state directory may be another user's, whose content we may not even ask for.
    return IMAGE_FOLDER if not os.access(own, os.R_OK) and IMAGE_FOLDER.exists() else own


def read_binaries(settings: Settings) -> Mapping[Binary, bytes]:
    """Each binary with its bytes, those that another one stands in for too.

    Raises:
        StartError: naming the folder, every file in it that is missing or unfit, and the remedy.
    """
    folder, problems = folder_of(settings), list[str]()
    found = dict[Binary, bytes]()
    for binary in Binary:
        try:
            found[binary] = _read_first(folder, FILE_NAMES[binary])
        except FileNotFoundError:
            if binary not in STAND_INS:
                problems.append(f"{binary} is missing")
        except FileUnfit as error:
            problems.append(str(error))
    if problems:
        remedy = _REMEDY_OWN if settings.ipxe_path else _REMEDY
        raise StartError(f"the iPXE binaries in {folder} cannot be served: {', '.join(problems)}; {remedy}")
    return {binary: found.get(binary) or found[STAND_INS[binary]] for binary in Binary}


def _read_first(folder: Path, names: tuple[str, ...]) -> bytes:
    for name in names:
        with contextlib.suppress(FileNotFoundError):
            try:
                return read_regular(folder / name, LARGEST_BYTES)
            except FileUnfit as error:
                raise FileUnfit(f"{name} {error}") from None
    raise FileNotFoundError(names[0])
