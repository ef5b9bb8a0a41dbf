"""The boots of the firmware tests: which firmware, where, and what it is told on its way."""

from dataclasses import dataclass
from pathlib import Path

from tests.firmware import qemu
from tests.firmware.places import Place

SCRIPT = "init.ipxe"
# A PXE client that DHCP takes for no iPXE. Its own user class goes before what it boots looks at its settings.
BIOS_SCRIPT = """#!ipxe
set user-class BIOS
dhcp net0
clear user-class
chain tftp://${proxydhcp/next-server}/${proxydhcp/filename}
"""


@dataclass(frozen=True, slots=True)
class Case:
    """One boot.

    words: the firmware, as the table names it. told: the files that our DHCP proxy names, one after the other, by the
    end of their names. packages: what has to be installed, by a file of each.
    """

    words: str
    firmware: qemu.Firmware | None
    told: tuple[str, ...]
    packages: dict[str, str]
    place: Place = Place.SITE
    arch: str = "amd64"


QEMU_X86 = {"/usr/bin/qemu-system-x86_64": "qemu-system-x86"}
QEMU_ARM = {"/usr/bin/qemu-system-aarch64": "qemu-system-arm"}
OVMF = QEMU_X86 | {qemu.OVMF_PXE.code: "ovmf"}
AAVMF = QEMU_ARM | {qemu.AAVMF_PXE.code: "qemu-efi-aarch64"}
ROM = QEMU_X86 | {"/usr/lib/ipxe/qemu/pxe-virtio.rom": "ipxe-qemu"}

CASES = {
    "bios-ipxe-rom": Case("SeaBIOS, iPXE in the card's ROM", qemu.BIOS_ROM, (SCRIPT,), ROM),
    "bios-pxe": Case("SeaBIOS, PXE", None, ("undionly.kpxe", SCRIPT), QEMU_X86),
    "uefi-pxe": Case("OVMF, PXE", qemu.OVMF_PXE, ("snp.efi", SCRIPT), OVMF),
    "uefi-http": Case("OVMF, HTTP boot", qemu.OVMF_HTTP, ("/tftp/amd64/snp.efi", SCRIPT), OVMF),
    "arm64-pxe": Case("AAVMF, PXE", qemu.AAVMF_PXE, ("snp-arm64.efi", SCRIPT), AAVMF, arch="arm64"),
    "arm64-http": Case("AAVMF, HTTP boot", qemu.AAVMF_HTTP, ("/tftp/arm64/snp.efi", SCRIPT), AAVMF, arch="arm64"),
    "uefi-assets": Case("OVMF, PXE", qemu.OVMF_PXE, ("snp.efi", SCRIPT), OVMF, Place.ASSETS),
    "uefi-4011": Case("OVMF, PXE", qemu.OVMF_PXE, ("snp.efi", SCRIPT), OVMF, Place.SEGMENT),
}


def firmware_of(case: Case, bios_ipxe: Path, folder: Path):
    """The firmware of a case. bios_ipxe: see `qemu.bios_pxe`; folder: for the script of that one."""
    if case.firmware is not None:
        return case.firmware
    script = folder / "pxe.ipxe"
    script.write_text(BIOS_SCRIPT)
    return qemu.bios_pxe(bios_ipxe, script)


def machine_of(name):
    """The machine of the case of this name."""
    number = list(CASES).index(name) + 1
    return qemu.Machine(f"6d657461-6c00-4000-9000-{number:012x}", f"52:54:00:0b:00:{number:02x}")
