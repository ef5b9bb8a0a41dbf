"""Virtual machines with real firmware that boot from a LAN, without KVM: guests die in it on some hosts of CI."""

import re
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from tests.firmware.downloads import MARKER

# The slowest takes 30 s on two processors of its own; with others at work on them it may take three times that.
LIMIT_S = 240
LOOK_S = 0.2
ESCAPES = re.compile(r"\x1b\[[0-9;=?]*[A-Za-z]")
OVMF, AAVMF = Path("/usr/share/OVMF"), Path("/usr/share/AAVMF")
# EDK2 needs random numbers for its network, and has none under TCG without this.
RANDOM = ("-object", "rng-random,id=r0,filename=/dev/urandom", "-device", "virtio-rng-pci,rng=r0")
X86 = ("qemu-system-x86_64", "-machine", "q35,accel=tcg,graphics=off")
ARM = ("qemu-system-aarch64", "-machine", "virt,accel=tcg", "-cpu", "cortex-a57")


@dataclass(frozen=True, slots=True)
class Firmware:
    """What a machine starts with.

    code, variables: of EDK2, as pflash; empty is SeaBIOS.
    card: what the network card is told, such as which option ROM it has.
    """

    command: tuple[str, ...]
    code: str = ""
    variables: str = ""
    card: str = ""
    more: tuple[str, ...] = ()

    def argv(self, tap, machine, folder):
        """The command line of QEMU."""
        return [
            *self.command,
            *("-m", "1024" if self.code else "512", "-uuid", machine.id, "-no-reboot", "-display", "none"),
            *("-monitor", "none", "-serial", f"file:{folder / 'serial'}", *self._flash(folder)),
            *("-netdev", f"tap,id=n0,ifname={tap},script=no,downscript=no"),
            *("-device", f"virtio-net-pci,netdev=n0,mac={machine.mac}{self.card}", *self.more),
        ]

    def _flash(self, folder):
        if not self.code:
            return ("-boot", "n")
        own = folder / "variables"
        shutil.copy(self.variables, own)
        own.chmod(0o600)
        return (
            *("-drive", f"if=pflash,unit=0,format=raw,readonly=on,file={self.code}"),
            *("-drive", f"if=pflash,unit=1,format=raw,file={own}", *RANDOM),
        )


def fw_cfg(**values):
    """Settings of EDK2, to leave ways of booting out."""
    settings = [f"name=opt/org.tianocore/{name},string={value}" for name, value in values.items()]
    return tuple(word for setting in settings for word in ("-fw_cfg", setting))


NO_IPV6 = fw_cfg(IPv6Support="n", IPv6PXESupport="n")
# An empty romfile: EDK2's own driver and PXE client, not those of an iPXE on the card.
OVMF_PXE = Firmware(X86, f"{OVMF}/OVMF_CODE_4M.fd", f"{OVMF}/OVMF_VARS_4M.fd", ",romfile=", NO_IPV6)
OVMF_HTTP = Firmware(X86, OVMF_PXE.code, OVMF_PXE.variables, ",romfile=", (*NO_IPV6, *fw_cfg(IPv4PXESupport="n")))
AAVMF_PXE = Firmware(ARM, f"{AAVMF}/AAVMF_CODE.fd", f"{AAVMF}/AAVMF_VARS.fd", ",romfile=", NO_IPV6)
AAVMF_HTTP = Firmware(ARM, AAVMF_PXE.code, AAVMF_PXE.variables, ",romfile=", OVMF_HTTP.more)
# QEMU's own option ROM is an iPXE, that of Debian 12 one of 2019.
BIOS_ROM = Firmware(X86)


def bios_pxe(ipxe, script):
    """A BIOS with a PXE client that DHCP takes for no iPXE. It is one, but does not say so.

    ipxe: one with drivers, in the form of a Linux kernel. script: what it runs.
    """
    return Firmware(X86, card=",romfile=", more=("-kernel", str(ipxe), "-initrd", str(script)))


@dataclass(frozen=True, slots=True)
class Machine:
    """Who boots. id: its UUID."""

    id: str
    mac: str


@dataclass(frozen=True, slots=True)
class Booted:
    """What came of a boot.

    arguments: the kernel's, empty where none was booted.
    """

    arguments: str
    seconds: float
    console: str


def boot(firmware, lan, folder, machine):
    """Boot a machine until a kernel says which arguments it has, or the time is over. folder: for what it leaves."""
    serial, said = folder / "serial", folder / "qemu"
    began = time.monotonic()
    with lan.tap() as tap:
        process = lan.switch.start(firmware.argv(tap, machine, folder), said)
        try:
            arguments = _arguments(process, serial, began + LIMIT_S)
            seconds = time.monotonic() - began
        finally:
            process.kill()
            process.wait()
    return Booted(arguments, seconds, _text(said) + _text(serial))


def _arguments(process, serial, until):
    while time.monotonic() < until:
        ended = process.poll() is not None
        _, marker, rest = _text(serial).partition(MARKER)
        if marker and "\n" in rest:
            return rest.splitlines()[0].strip()
        if ended:
            break
        time.sleep(LOOK_S)
    return ""


def _text(path):
    """What was written there, without what moves the cursor and sets colours."""
    return ESCAPES.sub("", path.read_text(errors="replace")) if path.exists() else ""
