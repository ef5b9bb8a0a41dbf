"""Whether the iPXE binaries are there which firmware is given, and which ones they are."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from app.boot.ipxe.binaries import PACKAGE, Binary
from app.boot.ipxe.files import boot_files
from app.boot.ipxe.folder import folder_of, read_binaries
from app.doctor.finding import Finding, ok, skipped, warning
from app.doctor.netboot import NOT_USED, start_finding
from app.doctor.site import Site
from app.errors import StartError


def look(site: Site) -> Sequence[Finding]:
    """Read them as netboot does."""
    settings = site.settings
    if settings.disable_dhcp_proxy:
        return [skipped(NOT_USED)]
    try:
        binaries = read_binaries(settings)
        boot_files(settings)
    except StartError as error:
        return [start_finding(str(error), runs_here=site.bundled)]
    found = [binaries_finding(folder_of(settings), binaries, own=settings.ipxe_path is not None)]
    if settings.tls_custom_ipxe_ca_cert_file:
        words = f"those for UEFI trust the CA of {settings.tls_custom_ipxe_ca_cert_file}, that for BIOS cannot"
        found.append(ok(words))
    return found


def binaries_finding(folder: Path, binaries: Mapping[Binary, bytes], *, own: bool) -> Finding:
    """Which binaries these are. own: the operator named the folder, and so answers for them."""
    known = set(PACKAGE.files.values())
    strange = [name for name, content in binaries.items() if hashlib.sha256(content).hexdigest() not in known]
    if not strange:
        return ok(f"{folder} has those of {PACKAGE.named}")
    if own:
        return ok(f"{folder} has your own, which are not those of {PACKAGE.named}: {', '.join(strange)}")
    words = f"{folder} has others than those of {PACKAGE.named}: {', '.join(strange)}"
    return warning(words, "run `omni-metal ipxe`; name the folder with --ipxe-path where they are meant")
