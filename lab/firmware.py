"""The firmware of a virtual machine: what its network boot leads to."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

from lab.fetch import Fetched, FetchError
from lab.ipxe import DiskBoot, Fetch, Interpreter, KernelBoot, ScriptError

AGENT_EXTENSION: Final = "siderolabs/metal-agent"
NO_SUCH_BOOT: Final = frozenset({404})  # the provider has nothing for this machine: the next boot device is tried


class NetbootError(Exception):
    """The network boot came to nothing; the firmware tries again."""


@dataclass(frozen=True, slots=True)
class Identity:
    """What firmware knows of its own machine."""

    machine_id: str
    mac: str
    serial: str
    arch: str = "x86_64"


@dataclass(frozen=True, slots=True)
class LocalDisk:
    """The boot goes on from the disk. `reason` is the command or the answer that said so."""

    reason: str


@dataclass(frozen=True, slots=True)
class TalosImage:
    """A Talos that was loaded over the network."""

    arguments: tuple[str, ...]
    talos_version: str
    extensions: tuple[str, ...]

    def argument(self, name: str) -> str:
        """The value of a kernel argument, empty where it is not there; the last one counts."""
        values = [word.partition("=")[2] for word in self.arguments if word.partition("=")[0] == name]
        return values[-1] if values else ""

    @property
    def is_agent(self) -> bool:
        """Whether the agent runs in it: it must be in the image and know where to dial."""
        return bool(self.argument("metal.provider.address")) and AGENT_EXTENSION in self.extensions

    @property
    def half_an_agent(self) -> bool:
        """Whether the image holds the agent but the arguments do not say so, or the reverse."""
        return bool(self.argument("metal.provider.address")) != (AGENT_EXTENSION in self.extensions)


async def netboot(provider_url: str, identity: Identity, fetch: Fetch) -> TalosImage | LocalDisk:
    """Ask the provider for the boot script and obey it.

    Raises:
        NetbootError: no answer, a refusal that is no 404, or a script that fails.
    """
    url = f"{provider_url}/ipxe/boot.ipxe?{urlencode(_query(identity))}"
    try:
        answer = await fetch(url)
    except FetchError as error:
        raise NetbootError(str(error)) from error
    if answer.status in NO_SUCH_BOOT:
        return LocalDisk(f"HTTP {answer.status}: {answer.text.strip()[:200]}")
    if answer.status != 200:
        raise NetbootError(f"{url}: HTTP {answer.status}: {answer.text.strip()[:200]}")
    return await _obey(answer, identity, fetch)


async def _obey(script: Fetched, identity: Identity, fetch: Fetch) -> TalosImage | LocalDisk:
    try:
        outcome = await Interpreter(fetch, _settings(identity)).run(script.text)
    except ScriptError as error:
        raise NetbootError(f"{script.url}: {error}") from error
    if isinstance(outcome, DiskBoot):
        return LocalDisk(outcome.command)
    return _image(outcome)


def _query(identity: Identity) -> dict[str, str]:
    return {
        "uuid": identity.machine_id,
        "mac": identity.mac.replace(":", "-"),
        "domain": "",
        "hostname": "",
        "serial": identity.serial,
        "arch": identity.arch,
    }


def _settings(identity: Identity) -> dict[str, str]:
    return {
        "uuid": identity.machine_id,
        "mac": identity.mac,
        "net0/mac": identity.mac,
        "serial": identity.serial,
        "buildarch": identity.arch,
    }


def _image(boot: KernelBoot) -> TalosImage:
    """What the loaded files are; an initramfs that is not one of the rack's factory is a Talos without extensions."""
    version, extensions = "", ()
    for initrd in boot.initrds:
        try:
            content = json.loads(initrd)
            version, extensions = str(content["talos_version"]), tuple(content["extensions"])
        except (ValueError, KeyError, TypeError):
            continue
    return TalosImage(boot.arguments, version, extensions)
