"""The command line of `omni-metal lab`."""

from __future__ import annotations

import argparse
import ipaddress
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from config.durations import parse_duration
from lab.bmc.chassis import BmcKind
from lab.bmc.dice import Fault, Odds
from lab.bmc.kinds import ALL_KINDS, parse_kinds
from lab.ports import HOST, usual_or_free
from lab.rack import RackOptions
from lab.rack_bmcs import NETWORK

API_PORT: Final = 50042
GATEWAY_PORT: Final = 50044
FLOWER_PORT: Final = 5555
TLS_PORT: Final = 50043
DESCRIPTION: Final = """\
A rack of virtual machines lives its life through the real provider.

With --once it ends after one life. Without, life follows life until Ctrl-C: removed machines are switched on again
and come back as new ones.
"""


@dataclass(frozen=True, slots=True)
class LabOptions:
    """What was asked for.

    stand_ins: the provider is started elsewhere.
    passed_on: goes to the provider as it is.
    """

    rack: RackOptions
    stand_ins: bool
    once: bool
    as_json: bool
    state_dir: Path | None
    cooldown: str
    passed_on: tuple[str, ...]

    @property
    def cooldown_s(self) -> float:
        """The cooldown in seconds."""
        return parse_duration(self.cooldown)


def parse(argv: Sequence[str]) -> LabOptions:
    """Read the command line; options that are not the lab's own are passed on to the provider."""
    parser = _parser()
    given, passed_on = parser.parse_known_args(list(argv))
    _check(parser, given)
    if given.stand_ins and passed_on:
        parser.error(f"--stand-ins: there is no provider here that would take {' '.join(passed_on)}")
    return LabOptions(
        _rack(given),
        bool(given.stand_ins),
        given.once,
        given.json,
        given.state_dir,
        given.min_reboot_interval,
        () if given.stand_ins else _with_defaults(passed_on, once=given.once),
    )


def _check(parser: argparse.ArgumentParser, given: argparse.Namespace) -> None:
    try:
        parse_duration(given.min_reboot_interval)
    except ValueError as error:
        parser.error(f"--min-reboot-interval: {error}")
    for option, least in (("machines", 1), ("wipe_seconds", 0), ("boot_seconds", 0), ("fail_wipes", 0)):
        if getattr(given, option) < least:
            parser.error(f"--{option.replace('_', '-')}: at least {least}")
    try:
        given.host = socket.gethostbyname(given.host)  # BMCs are known by addresses
    except OSError as error:
        parser.error(f"--host={given.host}: {error.strerror}; name an address of this host")
    _check_bmcs(parser, given)


def _check_bmcs(parser: argparse.ArgumentParser, given: argparse.Namespace) -> None:
    """Read what is said of the BMCs. Those that have an address each are for a provider of ours on this host."""
    near = not given.stand_ins and ipaddress.ip_address(given.host).is_loopback
    try:
        given.bmc_kinds = parse_kinds(given.bmc_kinds) if given.bmc_kinds else ALL_KINDS if near else (BmcKind.API,)
    except ValueError as error:
        parser.error(f"--bmc-kinds: {error}")
    if not near and set(given.bmc_kinds) != {BmcKind.API}:
        where = "with --stand-ins, or a --host that is not loopback, there is api alone"
        parser.error(f"--bmc-kinds: {where}; the others listen in {NETWORK}")
    try:
        given.dice = Odds.parse(given.dice)
    except ValueError as error:
        parser.error(f"--dice: {error}")


def _rack(given: argparse.Namespace) -> RackOptions:
    return RackOptions(
        machines=given.machines,
        wipe_s=given.wipe_seconds,
        boot_s=given.boot_seconds,
        fail_wipes=given.fail_wipes,
        host=given.host,
        provider_port=given.api_port or (API_PORT if given.stand_ins else usual_or_free(API_PORT)),
        provider_url=(given.stand_ins or "").rstrip("/"),
        omni_port=given.omni_port,
        factory_port=given.factory_port,
        secure=not given.stand_ins and not given.plain_omni,
        kinds=given.bmc_kinds,
        odds=given.dice,
        dice_seed=given.dice_seed,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="omni-metal lab",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="All other options are passed on to `omni-metal run`.",
        allow_abbrev=False,
    )
    parser.add_argument("--machines", type=int, default=6, metavar="N", help="machines in the rack (6)")
    parser.add_argument("--wipe-seconds", type=float, default=2.0, metavar="S", help="how long a wipe takes (2)")
    parser.add_argument("--boot-seconds", type=float, default=1.0, metavar="S", help="how long a boot takes (1)")
    parser.add_argument("--fail-wipes", type=int, default=0, metavar="K", help="the first K wipes fail (0)")
    parser.add_argument("--once", action="store_true", help="end after one life: status 0, or 1 if it went wrong")
    parser.add_argument("--json", action="store_true", help="a summary as one line of JSON on stdout at the end")
    parser.add_argument("--state-dir", type=Path, metavar="DIR", help="kept state directory (a fresh temporary one)")
    parser.add_argument("--api-port", type=int, metavar="PORT", help=f"of the provider ({API_PORT}, else a free one)")
    parser.add_argument("--min-reboot-interval", default="5s", metavar="TIME", help="the provider's cooldown (5s)")
    parser.add_argument("--plain-omni", action="store_true", help="an Omni without TLS that asks nobody who they are")
    _add_bmcs(parser.add_argument_group("BMCs"))
    alone = parser.add_argument_group("stand-ins for a provider that runs elsewhere")
    alone.add_argument("--stand-ins", metavar="URL", help="start no provider: the machines find one at this URL")
    alone.add_argument("--host", default=HOST, metavar="HOST", help=f"address of all stand-ins ({HOST})")
    alone.add_argument("--omni-port", type=int, default=0, metavar="PORT", help="of Omni (a free one)")
    alone.add_argument("--factory-port", type=int, default=0, metavar="PORT", help="of the image factory (a free one)")
    return parser


def _add_bmcs(group: argparse._ArgumentGroup) -> None:
    kinds = f"kinds that the machines take in turn ({','.join(ALL_KINDS)}; api alone with --stand-ins, and with a "
    kinds += f"--host that is not loopback, since the others listen in {NETWORK})"
    odds = f"how likely BMCs fail: explicit=0.1,packet-loss=0.03 (never; {', '.join(Fault)}, and slow-s)"
    group.add_argument("--bmc-kinds", metavar="KINDS", help=kinds)
    group.add_argument("--dice", default="", metavar="ODDS", help=odds)
    group.add_argument("--dice-seed", type=int, default=0, metavar="N", help="the same N gives the same faults (0)")


def _with_defaults(passed_on: Sequence[str], *, once: bool) -> tuple[str, ...]:
    """Add what makes a life short, where it was not said otherwise. Nobody looks at Flower during a single life."""
    named = {option.partition("=")[0] for option in passed_on}
    defaults = {
        "--power-poll-interval": "2s",
        "--gateway-listen": f"{HOST}:{usual_or_free(GATEWAY_PORT)}",
    }
    if "--tls-enabled" in named:
        defaults["--tls-api-port"] = str(usual_or_free(TLS_PORT))
    if "--disable-flower" not in named and "--flower-listen" not in named:
        defaults |= (
            {"--disable-flower": "true"} if once else {"--flower-listen": f"{HOST}:{usual_or_free(FLOWER_PORT)}"}
        )
    return (*(f"{name}={value}" for name, value in defaults.items() if name not in named), *passed_on)
