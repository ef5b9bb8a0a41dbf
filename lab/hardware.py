"""The state of a virtual machine: what it is, what it is doing, and what has happened to it."""

from __future__ import annotations

import enum
from collections import Counter
from typing import Protocol

import structlog

from lab.bmc.chassis import BmcKind
from lab.firmware import Identity, TalosImage
from lab.tls import Trust

log = structlog.get_logger()


class Stage(enum.StrEnum):
    """What a machine is doing."""

    OFF = "off"
    FIRMWARE = "firmware"
    JOINING = "joining Omni"
    AGENT = "agent"
    INSTALLING = "installing"
    TALOS = "Talos"
    NOTHING_TO_BOOT = "nothing to boot"


class Tunnel(Protocol):
    """An agent's tunnel to the provider."""

    open: bool


class Hardware:
    """A machine without anything that moves it.

    armed: whether the next boot is from the network.
    installed: whether there is a Talos on the disk.
    wiping: how many wipes run; more than one is a complaint.
    image: what it was booted into over the network.
    trust: whom the programs in it trust.
    counts: everything that has happened to it, by name.
    ipmi: the address and port of its BMC as its agent tells them; None where it has the HTTP API kind.
    kind: of its BMC.
    passwords: those that its BMC user was to have, and refuse_bmc_users: how often that fails, quoting the password.
    complaints: what must never happen to a machine.
    last_error: why its last attempt at something failed.
    """

    def __init__(self, identity: Identity) -> None:
        self.identity = identity
        self.stage = Stage.OFF
        self.armed = False
        self.installed = False
        self.wiping = 0
        self.image: TalosImage | None = None
        self.trust = Trust()
        self.tunnel: Tunnel | None = None
        self.counts: Counter[str] = Counter()
        self.complaints: list[str] = []
        self.last_error = ""
        self.ipmi: tuple[str, int] | None = None
        self.kind = BmcKind.API
        self.passwords: list[str] = []
        self.refuse_bmc_users = 0

    @property
    def id(self) -> str:
        """The machine's UUID."""
        return self.identity.machine_id

    @property
    def powered_on(self) -> bool:
        """Whether it has power."""
        return self.stage is not Stage.OFF

    @property
    def tunnel_open(self) -> bool:
        """Whether its agent is connected to the provider."""
        return self.tunnel is not None and self.tunnel.open

    def trouble(self, event: str, words: str) -> None:
        """Count something that failed; the same words are logged once."""
        self.counts[event] += 1
        if words != self.last_error:
            self.last_error = words
            log.info("machine_trouble", machine_id=self.id, what=event, words=words)
