"""Local boot assets for a provider that has the machines boot agent mode from its own files.

As an image of the stand-in factory, the initial RAM disk holds what it brings to a virtual machine, as JSON.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from app.machine.boot import Arch
from app.machine.script import cmdline_name, initramfs_name, kernel_name
from lab.firmware import AGENT_EXTENSION

SWITCH: Final = "--use-local-boot-assets"
FOLDER: Final = "--boot-assets-path"
CMDLINE: Final = "talos.platform=metal slab_nomerge\n"


def assets_options(passed_on: Sequence[str], folder: Path, talos_version: str) -> list[str]:
    """Write the files into a folder and name it, where the provider is told to use some and has none named."""
    given = {option.partition("=")[0] for option in passed_on}
    if SWITCH not in given or FOLDER in given:
        return []
    folder.mkdir(exist_ok=True)
    told = json.dumps({"talos_version": talos_version, "extensions": [AGENT_EXTENSION]})
    for arch in Arch:
        for name, text in ((kernel_name(arch), "kernel"), (initramfs_name(arch), told), (cmdline_name(arch), CMDLINE)):
            (folder / name).write_text(text)
    return [f"{FOLDER}={folder}"]
