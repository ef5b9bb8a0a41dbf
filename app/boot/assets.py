"""The files of `--boot-assets-path`, of which machines boot agent mode with `--use-local-boot-assets`.

Looked at anew for each request: an operator replaces them while we run. Only what is inside the folder is opened,
wherever names and links would lead.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, Final

from app.boot.boot_settings import boot_settings
from app.boot.errors import AssetsMissing
from app.boot.regular_file import FileUnfit, open_regular, read_all
from app.machine.boot import Arch, BootRequest, LocalBoot, boot_for
from app.machine.errors import ScriptRefused
from app.machine.model import Machine
from app.machine.script import LONGEST_LINE_BYTES, cmdline_name, initramfs_name, kernel_name, line_bytes
from app.machine.script_values import checked_line
from config.settings import Settings

OPTION: Final = "boot-assets-path"
# Linux keeps 2,048 bytes of a command line, and ours come on top.
LONGEST_CMDLINE_BYTES: Final = 2_048


class LocalAssets:
    """The folder. Safe to use from many threads."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def open(self, name: str) -> BinaryIO:
        """A file that is in the folder or below it, regular and not empty. Raises FileUnfit."""
        try:
            folder = self._folder.resolve(strict=True)
            path = (folder / name).resolve(strict=True)
            if path.is_relative_to(folder):
                return open_regular(path, follow=False)
        except (FileNotFoundError, NotADirectoryError, ValueError):  # ValueError: a zero byte in the name
            raise FileUnfit("is missing") from None
        except (OSError, RuntimeError) as error:  # RuntimeError: links that lead round, before Python 3.13
            raise FileUnfit(f"cannot be read ({getattr(error, 'strerror', '') or error})") from None
        raise FileUnfit("leads out of the folder")

    def cmdline(self, arch: Arch) -> str:
        """The arguments that the image of this architecture wants itself. Raises FileUnfit."""
        with self.open(cmdline_name(arch)) as file:
            return read_all(file, LONGEST_CMDLINE_BYTES).decode("utf-8", "replace")

    def complete_cmdline(self, arch: Arch) -> str:
        """The same, where all other files of the architecture are there too. Raises AssetsMissing."""
        unfit, cmdline = list[str](), ""
        for name in (kernel_name(arch), initramfs_name(arch)):
            try:
                self.open(name).close()
            except FileUnfit as error:
                unfit.append(f"{name} {error}")
        try:
            cmdline = self.cmdline(arch)
        except FileUnfit as error:
            unfit.append(f"{cmdline_name(arch)} {error}")
        if unfit:
            raise AssetsMissing(f"the local boot assets have no image for {arch}: {', '.join(unfit)}")
        return cmdline

    def problem(self, arch: Arch, ours: tuple[str, ...] = ()) -> str:
        """Why no machine of this architecture can boot from it; '' where it can. ours: the arguments that we add."""
        name = cmdline_name(arch)
        try:
            own = checked_line(self.complete_cmdline(arch), name, "")
        except (AssetsMissing, ScriptRefused) as error:
            return str(error)
        size_bytes = line_bytes(own, ours)
        if size_bytes <= LONGEST_LINE_BYTES:
            return ""
        return (
            f"{name} has {line_bytes(own, ()):,} bytes, with ours {size_bytes:,}, of which Linux keeps "
            f"{LONGEST_LINE_BYTES:,} and cuts off the end, by which the agent finds us"
        )


def check_assets(settings: Settings) -> Iterator[tuple[str, str]]:
    """The name of the option with what is wrong with its folder and the remedy, if no architecture can be booted."""
    if not settings.use_local_boot_assets or settings.boot_assets_path is None:
        return
    assets = LocalAssets(settings.boot_assets_path)
    problems = [assets.problem(arch, _least_ours(settings, arch)) for arch in Arch]
    if all(problems):
        yield OPTION, f"no machine could boot from it: {'; '.join(problems)}; put the three files of one of them there"


def _least_ours(settings: Settings, arch: Arch) -> tuple[str, ...]:
    """What we add for a machine that wants nothing more itself; with TLS the configuration comes on top."""
    anyone = Machine(id="", now=datetime.now(UTC))
    boot = boot_for(anyone, BootRequest("", arch=arch.value), boot_settings(settings), inline_config="")
    return boot.kernel_args if isinstance(boot, LocalBoot) else ()
