"""Whether our ports can be had, or who holds them; where it is this very provider, that is as it should be."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from app.doctor.finding import Finding, failed, failed_as_said, ok, warning
from app.doctor.http_probe import ask
from app.doctor.own import own_process
from app.doctor.processes import web_hosts
from app.doctor.site import Site
from app.errors import StartError
from app.ports import Holder, PortInUse, check_free, command_of, holder_of
from config.addresses import split_address
from config.settings import Settings


@dataclass(frozen=True, slots=True)
class Port:
    """A port that a process of ours listens on. what: for a person; option: the one that moves it."""

    what: str
    host: str
    number: int
    option: str
    process: str


def look(site: Site) -> Sequence[Finding]:
    """Try each port, and look who holds it."""
    settings = site.settings

    def answers(port: Port) -> bool:
        return port.process == "web" and any(ask(h, port.number, "/healthz").ours for h in web_hosts(settings))

    awaited = site.run_process is not None and not site.just_started
    return [_look_at(port, site.run_process, answers, awaited=awaited) for port in ports(settings)]


def ports(settings: Settings) -> list[Port]:
    """The ports that these settings name."""
    listen = settings.api_listen_address
    found = [Port("HTTP and gRPC", listen, settings.api_port, "--api-port", "web")]
    if settings.tls_enabled:
        found.append(Port("gRPC over TLS", listen, settings.tls_api_port, "--tls-api-port", "web"))
    found.append(Port("gateway", *split_address(settings.gateway_listen), "--gateway-listen", "gateway"))
    if not settings.disable_flower:
        found.append(Port("Flower", *split_address(settings.flower_listen), "--flower-listen", "flower"))
    return found


def _look_at(port: Port, run_process: int | None, answers: Callable[[Port], bool], *, awaited: bool) -> Finding:
    try:
        check_free(port.host, port.number, port.option)
    except PortInUse:
        holder = holder_of(port.number)
        if holder is None:
            return hidden_finding(port, ours=answers(port))
        above = holder.parent if own_process(command_of(holder.parent)) == "run" else None
        return held_finding(port, holder, stranger=above if above != run_process else None)
    except StartError as error:
        return failed_as_said(str(error))
    return free_finding(port, awaited=awaited)


def free_finding(port: Port, *, awaited: bool) -> Finding:
    """What it means that nobody listens on a port. awaited: `omni-metal run` runs, so we should."""
    place = f"{port.number} ({port.what})"
    if awaited:
        words = f"{place} is free, although `omni-metal run` runs: {port.process} does not listen"
        return warning(words, f"look into the log for why {port.process} ended; it is started again by itself")
    return ok(f"{place} is free")


def hidden_finding(port: Port, *, ours: bool) -> Finding:
    """What it means that a port is in use, and the system does not tell by whom. ours: we answer there."""
    place = f"{port.number} ({port.what})"
    if ours:
        return ok(f"{place} is held by our own {port.process}")
    words = f"{place} is in use by a program that this user may not look at"
    return warning(words, f"run the doctor as root to see which; else choose another port with {port.option}")


def held_finding(port: Port, holder: Holder, *, stranger: int | None) -> Finding:
    """What it means that a port is in use.

    Args:
        port: the port.
        holder: who listens there.
        stranger: the `omni-metal run` that has started it, where that is one of another state directory.
    """
    place, remedy = f"{port.number} ({port.what})", f"end that program, or choose another port with {port.option}"
    if own_process(holder.command) != port.process:
        return failed(f"{place} is in use by {holder.words}", remedy)
    if stranger is not None:
        words = f"{place} is held by another `omni-metal run` (process {stranger}), of another state directory"
        return failed(words, f"{remedy}; if that is the one you mean, name its --state-dir")
    return ok(f"{place} is held by our own {port.process} (process {holder.process}): that is fine")
