"""The files that TFTP and `/tftp/` serve, by name: iPXE binaries, and the script that a network boot begins with."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass

import structlog

from app.boot.boot_settings import boot_settings
from app.boot.ipxe.authority import OPTION, with_own_ca
from app.boot.ipxe.binaries import SCRIPT_NAMES, SERVED, Binary
from app.boot.ipxe.folder import read_binaries
from app.errors import StartError
from app.machine.script import init_script
from config.settings import Settings

log = structlog.get_logger()


def boot_files(settings: Settings) -> Mapping[str, bytes]:
    """Every name that is served, with its content; read once, nothing follows the folder.

    Raises:
        StartError: binaries are missing or unfit, or cannot be made to trust the CA of the operator.
    """
    binaries = read_binaries(settings)
    if settings.tls_custom_ipxe_ca_cert_file:
        binaries = with_own_ca(binaries, settings.tls_custom_ipxe_ca_cert_file)
    return {name: binaries[binary] for name, binary in SERVED.items()} | script_files(settings)


@dataclass(frozen=True, slots=True)
class Offer:
    """What can be served: contents by name. lacking: why no binaries are among them, with the remedy, or ''."""

    contents: Mapping[str, bytes]
    lacking: str = ""


def offer(settings: Settings) -> Offer:
    """The files of `boot_files`, or the scripts alone where those cannot be had: for who serves other things too."""
    try:
        return Offer(boot_files(settings))
    except StartError as error:
        return Offer(script_files(settings), str(error))


def script_files(settings: Settings) -> dict[str, bytes]:
    """Those of the files that need no binary."""
    return dict.fromkeys(SCRIPT_NAMES, init_script(boot_settings(settings)).encode())


def say_what_is_not_patched(settings: Settings) -> None:
    """Log that BIOS machines do not trust the operator's CA; whoever serves them says so at its start."""
    if settings.tls_custom_ipxe_ca_cert_file:
        log.warning(
            "ipxe_bios_not_patched",
            file=Binary.BIOS.value,
            option=OPTION,
            effect="machines with BIOS trust iPXE's own root only, and none of their https works with this CA",
            remedy="have such machines boot in UEFI mode, or let them fetch over http",
        )


def cleaned(name: str) -> str:
    """The name of a file as it stands in `boot_files`, of one as a client asks for it: nothing leads out of the set."""
    return posixpath.normpath("/" + name).lstrip("/")
