"""The firmwares that are answered, by their architecture, and what each boots."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from types import MappingProxyType
from typing import Final


class Firmware(Enum):
    """What a machine boots with: the name of its binary, and whether it fetches it by HTTP."""

    BIOS = ("undionly.kpxe", False)
    UEFI_X86 = ("snp.efi", False)
    ARM64 = ("snp-arm64.efi", False)
    HTTP_X86 = ("amd64/snp.efi", True)
    HTTP_ARM64 = ("arm64/snp.efi", True)

    @property
    def binary(self) -> str:
        """The name of the binary among the files of TFTP and HTTP."""
        return self.value[0]

    @property
    def by_http(self) -> bool:
        """Whether it wants a URL."""
        return self.value[1]


# The numbers are those of the IANA registry "Processor Architecture Types". EFI byte code (7) is what x86-64 firmware
# says, by an old mistake of the PXE specification; 9 is what the registry gives it.
FIRMWARES: Final[Mapping[int, Firmware]] = MappingProxyType(
    {
        0: Firmware.BIOS,
        6: Firmware.UEFI_X86,
        7: Firmware.UEFI_X86,
        9: Firmware.UEFI_X86,
        11: Firmware.ARM64,
        22: Firmware.ARM64,  # U-Boot
        15: Firmware.HTTP_X86,
        16: Firmware.HTTP_X86,
        19: Firmware.HTTP_ARM64,
        24: Firmware.HTTP_ARM64,  # U-Boot
    }
)
