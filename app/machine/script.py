"""Render iPXE scripts: the only place that does.

Every value that did not come from this file is checked on its way in; one that could add a command raises
ScriptRefused, which names it and the machine.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from app.machine.boot import Arch, BootSettings, DiskMethod, FactoryBoot, LocalBoot
from app.machine.script_values import checked_line, checked_name, checked_word

ROUNDS: Final = 10
# Long enough for a person at a console, short enough not to be felt in every boot.
PROMPT_MS: Final = 2_000
# A switch that does not forward at once is up within this; a NIC without a cable costs no more than this each round.
LINK_TIMEOUT_MS: Final = 5_000
# What iPXE says of a command that it does not have. The iPXE of 2019 that is in many cards, and in Debian 12, does not
# know how to wait for a link; its dhcp does that by itself.
UNKNOWN_COMMAND: Final = "0x2e022001"
# Time to read the last line on the console.
RESTART_S: Final = 5

# Linux on amd64 and arm64 keeps 2,048 bytes of a command line, a zero at its end among them.
LONGEST_LINE_BYTES: Final = 2_047
_ANY_UUID: Final = "00000000-0000-0000-0000-000000000000"

_INIT: Final = """\
#!ipxe

prompt --key 0x02 --timeout {prompt_ms} Press Ctrl-B for the iPXE shell... && shell ||

set round:int32 1

:round
set idx:int32 0

:interface
isset ${{net${{idx}}/mac}} || goto round_done
echo Round ${{round}} of {rounds}: trying net${{idx}} (${{net${{idx}}/mac}})
ifclose ||
ifopen net${{idx}} || goto next_interface
iflinkwait --timeout {link_ms} net${{idx}} && goto configure || iseq ${{errno}} {unknown} || goto next_interface

:configure
dhcp net${{idx}} || goto next_interface
chain --replace {boot_url} || goto next_interface

:next_interface
inc idx
goto interface

:round_done
iseq ${{round}} {rounds} && goto give_up ||
inc round
goto round

:give_up
echo No network interface could boot in {rounds} rounds. Restarting in {restart_s} seconds...
sleep {restart_s}
reboot
"""

_BOOT_QUERY: Final = (
    "uuid=${uuid}&mac=${net${idx}/mac:hexhyp}&domain=${domain}&hostname=${hostname}&serial=${serial}&arch=${buildarch}"
)


def init_script(settings: BootSettings) -> str:
    """The script with which each network boot begins: it tries all interfaces for a boot script of the machine."""
    base = checked_word(settings.http_url, "advertise address", "")
    return _INIT.format(
        prompt_ms=PROMPT_MS,
        rounds=ROUNDS,
        link_ms=LINK_TIMEOUT_MS,
        unknown=UNKNOWN_COMMAND,
        boot_url=f"{base}/ipxe/boot.ipxe?{_BOOT_QUERY}",
        restart_s=RESTART_S,
    )


def disk_script(method: DiskMethod) -> str:
    """The script that hands over to the disk; for `http-404` the text that comes with the 404."""
    match method:
        case DiskMethod.IPXE_EXIT:
            return "#!ipxe\nexit\n"
        case DiskMethod.IPXE_SANBOOT:
            return "#!ipxe\nsanboot --no-describe --drive 0x80\n"
        case DiskMethod.HTTP_404:
            return "this machine boots from its disk\n"


def kernel_name(arch: Arch) -> str:
    """The file of the kernel among local boot assets."""
    return f"kernel-{arch}"


def initramfs_name(arch: Arch) -> str:
    """The file of the initial RAM disk among local boot assets."""
    return f"initramfs-metal-{arch}.xz"


def cmdline_name(arch: Arch) -> str:
    """The file of the kernel's own arguments among local boot assets."""
    return f"cmdline-metal-{arch}"


def local_script(boot: LocalBoot, cmdline: str, settings: BootSettings) -> str:
    """The script that boots agent mode from our own files.

    Args:
        boot: what is booted.
        cmdline: the text of `cmdline_name(boot.arch)`: the arguments that the image wants itself.
        settings: say where we serve files.

    Raises:
        ScriptRefused: the text may not stand in a script.
    """
    base = checked_word(settings.http_url, "advertise address", "") + "/assets"
    own = checked_line(cmdline, cmdline_name(boot.arch), boot.machine_id)
    kernel = " ".join((f"{base}/{kernel_name(boot.arch)}", *own, *boot.kernel_args))
    return f"#!ipxe\nimgfree\nkernel {kernel}\ninitrd {base}/{initramfs_name(boot.arch)}\nboot\n"


def line_bytes(own: Iterable[str], ours: Iterable[str]) -> int:
    """The length of a kernel's command line, with the UUID that iPXE puts in. own: the image's; ours: what we add."""
    return len(" ".join((*own, *ours)).replace("${uuid}", _ANY_UUID))


def factory_script(boot: FactoryBoot, schematic_id: str, settings: BootSettings) -> str:
    """The script that goes on with the image factory's own script for this image."""
    return chain_script(factory_url(boot, schematic_id, settings), boot.machine_id)


def factory_url(boot: FactoryBoot, schematic_id: str, settings: BootSettings) -> str:
    """Where the image factory has its script for this image. Raises ScriptRefused."""
    schematic = checked_name(schematic_id, "schematic id", boot.machine_id)
    version = checked_name(boot.talos_version, "Talos version", boot.machine_id)
    platform = f"metal-{boot.arch}" + ("-secureboot" if boot.secure_boot else "")
    return f"{settings.image_factory_pxe_base_url.rstrip('/')}/pxe/{schematic}/{version}/{platform}"


def chain_script(url: str, machine_id: str) -> str:
    """The script that goes on with another one. Raises ScriptRefused."""
    return f"#!ipxe\nchain --replace {checked_word(url, 'URL', machine_id)}\n"
