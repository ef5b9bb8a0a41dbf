"""Decide what a machine that boots over the network is told: a pure function of its picture.

    answer = boot_for(machine, BootRequest(uuid, arch="arm64"), settings, inline_config)
    # Refusal -> 404; HeldBack -> 503
    # DiskBoot, FactoryBoot, LocalBoot -> app.machine.script: disk_script, factory_script, local_script

Guarantees: no answer boots the disk of a machine that needs a wipe, but for one that is rejected or whose record is
lost (a refused boot falls through to the disk as well, so that is what cordoned machines get). Nothing that could
add a command to a script gets out of here: it raises ScriptRefused.
"""

from __future__ import annotations

import enum
import functools
import ipaddress
from dataclasses import dataclass, field
from typing import Final

from app.machine.facts import boot_mode
from app.machine.model import Acceptance, BootMode, InfraMachine, Machine
from app.machine.script_values import checked_name, checked_word

AGENT_EXTENSIONS: Final = tuple(
    f"siderolabs/{name}"
    for name in (
        "amd-ucode",
        "amdgpu-firmware",
        "bnx2-bnx2x",
        "chelsio-firmware",
        "i915-ucode",
        "intel-ice-firmware",
        "intel-ucode",
        "qlogic-firmware",
        "realtek-firmware",
        "metal-agent",
    )
)


class DiskMethod(enum.StrEnum):
    """How a machine is told to boot its disk."""

    IPXE_EXIT = "ipxe-exit"
    HTTP_404 = "http-404"
    IPXE_SANBOOT = "ipxe-sanboot"


class Arch(enum.StrEnum):
    """Architectures that images are made for."""

    AMD64 = "amd64"
    ARM64 = "arm64"


@dataclass(frozen=True, slots=True)
class BootSettings:
    """The options that boot answers depend on, named as in Settings."""

    api_advertise_address: str
    api_port: int = 50042
    image_factory_pxe_base_url: str = "https://pxe.factory.talos.dev"
    agent_mode_talos_version: str = "v1.13.7"
    boot_from_disk_method: DiskMethod = DiskMethod.IPXE_EXIT
    secure_boot_enabled: bool = False
    use_local_boot_assets: bool = False
    agent_test_mode: bool = False
    tls_enabled: bool = False
    tls_api_port: int = 50043
    tls_agent_skip_verify: bool = False

    @property
    def http_url(self) -> str:
        """Where firmware reaches us: `http://ADDRESS:PORT`."""
        return f"http://{self._host}:{self.api_port}"

    @property
    def agent_address(self) -> str:
        """Where agents reach us. They misread `name:PORT`, so a host name comes with a scheme."""
        if self.tls_enabled:
            return f"https://{self._host}:{self.tls_api_port}"
        return self.http_url if self._ip is None else f"{self._host}:{self.api_port}"

    @property
    def _host(self) -> str:
        return f"[{self.api_advertise_address}]" if self._ip == 6 else self.api_advertise_address

    @property
    def _ip(self) -> int | None:
        return _ip_version(self.api_advertise_address)


@functools.cache  # there is one address, and it is looked at three times for each boot
def _ip_version(address: str) -> int | None:
    try:
        return ipaddress.ip_address(address).version
    except ValueError:
        return None


@dataclass(frozen=True, slots=True)
class BootRequest:
    """What firmware says of itself. `arch` is iPXE's buildarch."""

    uuid: str
    mac: str = ""
    arch: str = ""


@dataclass(frozen=True, slots=True)
class Schematic:
    """What an image of the image factory is made with. With TLS the arguments hold the join token."""

    kernel_args: tuple[str, ...] = field(default=(), repr=False)
    extensions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Refusal:
    """The machine gets 404 with this text."""

    text: str


@dataclass(frozen=True, slots=True)
class HeldBack:
    """What the machine would boot is not known yet: it gets 503 with this text, and asks again."""

    text: str


@dataclass(frozen=True, slots=True)
class DiskBoot:
    """The machine boots its disk."""

    method: DiskMethod


@dataclass(frozen=True, slots=True)
class FactoryBoot:
    """The machine boots an image of the image factory."""

    machine_id: str
    mode: BootMode
    schematic: Schematic
    talos_version: str
    arch: Arch
    secure_boot: bool


@dataclass(frozen=True, slots=True)
class LocalBoot:
    """The machine boots agent mode from our own files. With TLS the arguments hold the join token."""

    machine_id: str
    mode: BootMode
    kernel_args: tuple[str, ...] = field(repr=False)
    arch: Arch


BootAnswer = Refusal | HeldBack | DiskBoot | FactoryBoot | LocalBoot


def boot_for(
    machine: Machine, request: BootRequest, settings: BootSettings, inline_config: str | None = None
) -> BootAnswer:
    """The answer to a machine that asks for its boot script.

    Args:
        machine: its picture.
        request: what firmware says.
        settings: the options that count.
        inline_config: the machine configuration as it stands in a kernel argument, which TLS needs (docs/boot.md);
            None where it is not known.

    Raises:
        ScriptRefused: a value may not stand in a script.
    """
    wish = machine.infra_machine or InfraMachine()
    if wish.cordoned:
        return Refusal("machine is cordoned")
    if wish.acceptance_status is Acceptance.REJECTED:
        return Refusal("machine is rejected")
    mode = boot_mode(machine)
    if mode is BootMode.TALOS_DISK:
        return DiskBoot(settings.boot_from_disk_method)
    if settings.tls_enabled and inline_config is None:
        return HeldBack("the machine configuration is not known yet: try again in a few seconds")
    defaults = _default_args(settings, inline_config or "")
    machine_id = machine.id or request.uuid
    arch = Arch.ARM64 if request.arch == "arm64" else Arch.AMD64
    ending = (*_console(arch), *_extra(wish, machine_id))
    if mode is BootMode.AGENT_PXE:
        arguments, extensions = (*defaults, *_agent_args(settings)), AGENT_EXTENSIONS
        if settings.use_local_boot_assets:
            return LocalBoot(machine_id, mode, (*arguments, *ending), arch)
        version = settings.agent_mode_talos_version
    else:
        arguments, extensions = defaults, tuple(checked_word(e, "extension", machine_id) for e in wish.extensions)
        version = wish.cluster_talos_version
    schematic = Schematic((*arguments, *ending), extensions)
    checked_name(version, "Talos version", machine_id)
    return FactoryBoot(machine_id, mode, schematic, version, arch, settings.secure_boot_enabled)


def _default_args(settings: BootSettings, inline_config: str) -> tuple[str, ...]:
    # iPXE puts the machine's own UUID here; it is the one setting that may stand in a script.
    fetched = f"talos.config={settings.http_url}/config?u=${{uuid}}"
    return (fetched, f"talos.config.inline={inline_config}") if settings.tls_enabled else (fetched,)


def _agent_args(settings: BootSettings) -> tuple[str, ...]:
    arguments = [f"metal.provider.address={settings.agent_address}"]
    if settings.agent_test_mode:
        arguments.append("metal.provider.test.mode=1")
    if settings.tls_enabled and settings.tls_agent_skip_verify:
        arguments.append("metal.provider.tls.skip.verify=1")
    return tuple(arguments)


def _console(arch: Arch) -> tuple[str, ...]:
    return ("console=tty0", "console=ttyAMA0" if arch is Arch.ARM64 else "console=ttyS0")


def _extra(wish: InfraMachine, machine_id: str) -> tuple[str, ...]:
    return tuple(checked_word(word, "extra_kernel_args", machine_id) for word in wish.extra_kernel_args.split())
