"""Which iPXE binaries there are, by which names they are found and served, and what Debian's package holds."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


class Binary(enum.StrEnum):
    """An iPXE binary, by its file name in Debian's package."""

    BIOS = "undionly.kpxe"
    AMD64 = "ipxe-amd64.efi"
    AMD64_SNP = "snponly.efi"
    ARM64 = "ipxe-arm64.efi"
    ARM64_SNP = "snponly-arm64.efi"
    """Debian has none; `ARM64` does its work."""

    @property
    def is_efi(self) -> bool:
        """Whether it is a program for UEFI."""
        return self is not Binary.BIOS


# Debian's names first, then those by which the files are served.
FILE_NAMES: Final[Mapping[Binary, tuple[str, ...]]] = {
    Binary.BIOS: ("undionly.kpxe", "amd64/undionly.kpxe"),
    Binary.AMD64: ("ipxe-amd64.efi", "ipxe.efi", "amd64/ipxe.efi"),
    Binary.AMD64_SNP: ("snponly.efi", "snp.efi", "amd64/snp.efi"),
    Binary.ARM64: ("ipxe-arm64.efi", "arm64/ipxe.efi"),
    Binary.ARM64_SNP: ("snponly-arm64.efi", "snp-arm64.efi", "arm64/snp.efi"),
}
STAND_INS: Final[Mapping[Binary, Binary]] = {Binary.ARM64_SNP: Binary.ARM64}
"""Which binary is served for one that is not there."""

SERVED: Final[Mapping[str, Binary]] = {
    "undionly.kpxe": Binary.BIOS,
    "undionly.kpxe.0": Binary.BIOS,
    "ipxe.efi": Binary.AMD64,
    "snp.efi": Binary.AMD64_SNP,
    "ipxe-arm64.efi": Binary.ARM64,
    "snp-arm64.efi": Binary.ARM64_SNP,
    "amd64/undionly.kpxe": Binary.BIOS,
    "amd64/undionly.kpxe.0": Binary.BIOS,
    "amd64/ipxe.efi": Binary.AMD64,
    "amd64/snp.efi": Binary.AMD64_SNP,
    "arm64/ipxe.efi": Binary.ARM64,
    "arm64/snp.efi": Binary.ARM64_SNP,
}
# iPXE for UEFI asks for it beside itself, whatever it was told by DHCP.
SCRIPT_NAMES: Final = ("autoexec.ipxe", "amd64/autoexec.ipxe", "arm64/autoexec.ipxe")


@dataclass(frozen=True, slots=True)
class Package:
    """One version of Debian's package `ipxe`. sha256: of the package file; files: file name -> SHA-256, all in hex."""

    version: str
    suite: str
    sha256: str
    files: Mapping[str, str]

    @property
    def named(self) -> str:
        """The package in words."""
        return f"Debian's package ipxe {self.version}"


PACKAGE: Final = Package(
    version="1.21.1+git20250501.dad20602+dfsg-1",
    suite="trixie",
    sha256="eeaca79dbde0fb86c102bf1d362c6f6a67ed0ddab38b3dd12e1b332339f5dd99",
    files={
        Binary.BIOS: "391bfe580ec9f823d046ee390765d6c389f482b9a8b9fae0f90871cd8ff57828",
        Binary.AMD64: "6095eb23f4173674a3dc124a2a6d3cdeed514172793306a10d525f57b97cdc6a",
        Binary.AMD64_SNP: "9a624b4e05ebc25718a7658356628a352532bd278e7a50465a36ab94a7c4e580",
        Binary.ARM64: "5369815eee98bf98b28a18af9a57207f9096a3b4e542ed3df1eb3f5b28d3d9a9",
    },
)
"""The package that was tried with firmware. An older one speaks no HTTPS, and none older has a binary for arm64."""
